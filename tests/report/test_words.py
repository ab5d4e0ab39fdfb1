"""How figures are written."""

import pytest

from fintune.records import Statement
from fintune.report import words


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0.0, "0.0 s"), (4.21, "4.2 s"), (42.4, "42 s"), (737.0, "12 min"), (11100.0, "3 h 05 min")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert words.duration(seconds).replace("\u202f", " ") == shown


@pytest.mark.parametrize(("number", "shown"), [(34_386, "34.4 kB"), (7_600_000, "7.6 MB"), (3_100_000_000, "3.1 GB")])
def test_sizes(number: int, shown: str) -> None:
    assert words.size(number).replace("\u202f", " ") == shown


def test_metrics_are_called_and_written_as_their_task_says() -> None:
    en, zh = map(words.Translator, words.LANGUAGES)
    called = [(words.metric_title("accuracy", t), words.metric_column("accuracy", t)) for t in (en, zh)]
    assert called == [("accuracy", "Accuracy (%)"), ("准确率", "准确率 (%)")]
    assert (words.metric_column("answer_loss", en), words.metric_column("made_up", zh)) == ("Answer loss", "Made up")
    assert (words.written("accuracy", 0.9671), words.written("answer_loss", 0.5)) == ("96.7\u202f%", "0.500")


def test_how_many_texts_are_needed_is_said_where_it_is_known() -> None:
    values = {"name": "mean", "n": "9", "own": "1", "other": "2", "difference": "0 to 1", "metric": "answer_loss"}
    shown = [
        words.worth(Statement("undecided", "warning", "", values | more), words.Translator("zh"))
        for more in ({}, {"needed": "40"})
    ]
    assert ["40 条" in one for one in shown] == [False, True]
    assert all("无法与均值区分：在 9 条文本上答案损失为 1" in one for one in shown)


def test_both_languages_are_escaped() -> None:
    assert str(words.both("note.unfinished", mark="<b>")) == (
        '<span class="t" lang="en">This run is unfinished: &lt;b&gt;</span>'
        '<span class="t" lang="zh">该运行尚未完成：&lt;b&gt;</span>'
    )
