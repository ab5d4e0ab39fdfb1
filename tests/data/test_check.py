"""`fintune check` says everything that is wrong, finds what is known of real data, and exits with 1 when it is severe."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.data.check import Examination
from fintune.errors import DataError
from fintune.training.check import examine
from tests.conftest import SHARED
from tests.tiny import tiny_rows

NUMBERS = {"0": "negative", "1": "positive", "2": "neutral"}
FINFE = {"text_column": "1", "label_column": "2", "label_map": {"0": "negative", "1": "neutral", "2": "positive"}}
WRAPPED = {"text_column": "context", "label_column": "target"}


@pytest.fixture
def real(tiny_causal: Path) -> Any:
    """Examines a file of the shared data, as `data` says."""

    def run(path: str, *, against: str | None = None, task: dict[str, Any] | None = None, **data: Any) -> Examination:
        if not (SHARED / path).is_file():
            pytest.skip("shared data are not here")
        raw = {"model": {"base": str(tiny_causal)}, "data": {"path": str(SHARED / path)} | data}
        return examine(load(raw | ({"task": task} if task else {})), against=against and str(against), doubt=False)

    return run


def kinds(found: Examination) -> dict[str, tuple[str, int]]:
    return {f.kind: (f.level, f.count) for f in found.report.findings}


def test_phrasebank_all_agree(real: Any) -> None:
    found = real("financial_phrasebank/Sentences_AllAgree.txt")
    report = found.report
    assert (report.rows, report.exact_duplicates, report.conflicting_texts) == (2264, 5, 0)
    assert report.labels == {"neutral": 1386, "positive": 570, "negative": 303}, "1391 neutral with the five duplicates"
    assert (report.near_duplicate_rows, report.near_duplicate_clusters) == (203, 69)
    assert not found.severe
    assert found.fingerprint == "f88361e959f1af4a"


def test_phrasebank_50_agree_has_two_texts_with_two_labels(real: Any) -> None:
    found = real("financial_phrasebank/Sentences_50Agree.txt")
    assert (found.report.rows, found.report.conflicting_texts) == (4846, 2)
    assert kinds(found)["conflicts"] == ("warning", 2)


def test_tweets_are_records_not_lines_and_twelve_stand_in_train(real: Any) -> None:
    found = real(
        "twitter_financial_news/sent_valid.csv",
        against=SHARED / "twitter_financial_news/sent_train.csv",
        label_map=NUMBERS,
    )
    assert found.report.rows == 2388
    assert found.against is not None
    assert found.against.shared == 12
    assert list(found.report.label_samples) == ["0 = negative", "1 = positive", "2 = neutral"]
    assert all(len(texts) == 3 for texts in found.report.label_samples.values())


def test_finfe_leaks_and_contradicts_itself(real: Any) -> None:
    evaluation = real(
        "fincuge_finfe/eval_list.json", against=SHARED / "fincuge_finfe/train_list.json", drop=["empty"], **FINFE
    )
    assert evaluation.against is not None
    assert (evaluation.against.shared, evaluation.against.distinct) == (1104, 1949)
    assert kinds(evaluation)["overlap"] == ("severe", 1104)
    train = real("fincuge_finfe/train_list.json", **FINFE)
    assert train.report.conflicting_texts == 781
    assert kinds(train)["conflicts"] == ("severe", 781)


def test_a_swapped_label_map_is_exposed(real: Any, tmp_path: Path) -> None:
    tweets = tmp_path / "tweets.yaml"
    valid = str(SHARED / "twitter_financial_news/sent_valid.csv")
    tweets.write_text(json.dumps({"data": {"path": valid, "label_map": NUMBERS}}))
    found = real("finlora/tfns_test.jsonl", against=tweets, **WRAPPED)
    assert found.against is not None
    assert found.against.labels == {
        "negative": {"negative": 347},
        "neutral": {"positive": 475},
        "positive": {"neutral": 1566},
    }
    swapped = [f.count for f in found.report.findings if f.kind == "labels-differ"]
    assert sorted(swapped) == [475, 1566]
    plain = real("finlora/tfns_test.jsonl", against=valid, **WRAPPED)
    assert plain.against is not None
    assert plain.against.labels["positive"] == {"2": 1566}, "without the map its own numbers are shown"


def test_finloras_phrasebank_lies_wholly_inside(real: Any) -> None:
    found = real("finlora/fpb_test.jsonl", against=SHARED / "financial_phrasebank/Sentences_50Agree.txt", **WRAPPED)
    assert found.against is not None
    assert found.against.inside
    assert found.against.shared == found.against.distinct == 1210


def test_gold_headlines_are_separated_by_tabs(real: Any) -> None:
    found = real(
        "gold_commodity_headlines/gold-dataset-sinha-khandait.csv",
        task={"name": "classification", "labels": ["positive", "negative", "none", "neutral"]},
        text_column="News",
        label_column="Price Sentiment",
    )
    assert found.report.rows == 10570
    assert found.report.labels == {"positive": 4412, "negative": 3814, "none": 1967, "neutral": 376}


def test_sentfin_labels_are_dictionaries_of_which_thirteen_do_not_parse(real: Any) -> None:
    task = {"name": "classification", "labels": ["up", "down"]}
    found = real("sentfin/SEntFiN.csv", task=task, text_column="Title", label_column="Decisions")
    assert kinds(found)["label-dictionaries"] == ("warning", 10753)
    assert kinds(found)["label-dictionaries-broken"] == ("severe", 13)
    assert found.severe


def config(model: Path, path: Path, rows: list[dict[str, str]], **data: Any) -> Any:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load({"model": {"base": str(model), "max_length": 96}, "data": {"path": str(path)} | data})


def test_everything_wrong_is_said_at_once(tiny_causal: Path, tmp_path: Path) -> None:
    rows = [*tiny_rows(60), {"text": "a", "label": "odd"}, {"text": "x" * 300, "label": "neutral"}, tiny_rows(1)[0]]
    path = tmp_path / "a.jsonl"
    made = config(tiny_causal, path, rows)
    path.write_text(path.read_text() + "not json\n")
    found = examine(made, doubt=False)
    assert kinds(found) == {
        "unknown-label": ("severe", 1), "unreadable": ("severe", 1), "license": ("note", 1), "too-long": ("warning", 1),
    }  # fmt: skip
    assert (found.report.rows, found.report.unusable, found.report.dropped) == (64, 2, {"exact-duplicates": 1})
    assert found.report.tokens["longest"] > 300
    assert found.fingerprint is not None, "what is left can be split"
    assert found.severe


def test_what_cannot_be_split_or_loaded_is_a_finding(tiny_causal: Path, tmp_path: Path) -> None:
    made = config(tmp_path / "none", tmp_path / "a.jsonl", tiny_rows(30), date_column="text", split={"by": "time"})
    found = examine(made, doubt=False)
    assert {"model", "bad-date", "nothing"} <= set(kinds(found))
    assert found.fingerprint is None
    assert found.report.tokens == {}


def test_doubtful_labels_are_listed(tiny_causal: Path, tmp_path: Path) -> None:
    rows = tiny_rows(90)
    rows[4] = rows[4] | {"label": "negative"}
    found = examine(config(tiny_causal, tmp_path / "a.jsonl", rows))
    assert found.suspicious[0].id == "a.jsonl:5"
    assert kinds(found)["suspicious-labels"][0] == "note"


def test_personal_data_are_looked_for_when_asked(tiny_causal: Path, tmp_path: Path) -> None:
    pytest.importorskip("stdnum")
    rows = tiny_rows(60)
    rows[7] = rows[7] | {"text": "mail ann@example.com or bob@example.com"}
    made = config(tiny_causal, tmp_path / "a.jsonl", rows)
    found = examine(made, pii=True, doubt=False)
    assert found.pii == {"email": 1, "phone": 0, "iban": 0, "card": 0, "national-id": 0}
    assert kinds(found)["pii"] == ("warning", 1)
    assert examine(made, doubt=False).pii is None


def test_a_guessed_encoding_is_told(tiny_causal: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    body = "".join(
        f"Der Überschuß {i} stieg für März,{label}\n" for i, label in enumerate(["neutral", "negative", "positive"] * 9)
    )
    path.write_bytes(("text,label\n" + body).encode("cp1252"))
    found = examine(load({"model": {"base": str(tiny_causal)}, "data": {"path": str(path)}}), doubt=False)
    assert kinds(found)["encoding"] == ("warning", 1)
    message = next(f.message for f in found.report.findings if f.kind == "encoding")
    assert "a.csv as cp1252: Der Überschuß 0 stieg" in message, "a reader sees whether it was guessed right"
    told = examine(
        load({"model": {"base": str(tiny_causal)}, "data": {"path": str(path), "encoding": "cp1252"}}), doubt=False
    )
    assert "encoding" not in kinds(told)


def test_near_duplicates_can_be_left_out(tiny_causal: Path, tmp_path: Path) -> None:
    rows = tiny_rows(60) + [{"text": f"Sales rose {i} % in May", "label": "positive"} for i in range(5)]
    made = config(tiny_causal, tmp_path / "a.jsonl", rows)
    assert examine(made, doubt=False).report.near_duplicate_clusters > 0
    without = examine(made, doubt=False, near_duplicates=False)
    assert (without.report.near_duplicate_clusters, without.report.twins_in_train) == (0, {})


def test_dates_that_cannot_be_read_are_counted_and_the_others_used(tiny_causal: Path, tmp_path: Path) -> None:
    rows = [row | {"day": f"2024-01-{1 + i % 28:02d}"} for i, row in enumerate(tiny_rows(60))]
    rows[3] |= {"day": "n/a"}
    rows[5] |= {"day": ""}
    found = examine(config(tiny_causal, tmp_path / "a.jsonl", rows, date_column="day"), doubt=False)
    assert kinds(found)["undated"] == ("warning", 2)
    assert found.report.dates["train"][0] == "2024-01-01T00:00:00"
    by_time = config(tiny_causal, tmp_path / "a.jsonl", rows, date_column="day", split={"by": "time"})
    assert kinds(examine(by_time, doubt=False))["bad-date"] == ("severe", 2)


def test_another_file_with_other_columns(tiny_causal: Path, tmp_path: Path) -> None:
    rows = tiny_rows(60)
    own = config(tiny_causal, tmp_path / "a.jsonl", [{"headline": row["text"], "sentiment": row["label"]} for row in rows],
                 text_column="headline", label_column="sentiment")  # fmt: skip
    (tmp_path / "usual.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:9]) + "broken\n")
    (tmp_path / "odd.jsonl").write_text('{"x": "y"}\n' * 5)
    found = examine(own, against=str(tmp_path / "usual.jsonl"), doubt=False).against
    assert found is not None
    assert (found.shared, found.rows, found.unread) == (9, 9, 1)
    assert found.labels["negative"] == {"negative": 3}
    with pytest.raises(DataError, match=r"odd\.jsonl:1: no columns 'headline'") as caught:
        examine(own, against=str(tmp_path / "odd.jsonl"), doubt=False)
    assert ".yaml" in caught.value.hint
    with pytest.raises(DataError, match="no such file") as caught:
        examine(own, against=str(tmp_path / "none.jsonl"), doubt=False)
    assert ".yaml" not in caught.value.hint


def test_labels_that_words_do_not_tell_are_not_listed_for_review(tiny_causal: Path, tmp_path: Path) -> None:
    rows = tiny_rows(120)
    rows = [row | {"label": rows[(7 * i * i + i) % 11]["label"]} for i, row in enumerate(rows)]
    found = examine(config(tiny_causal, tmp_path / "a.jsonl", rows))
    told = next(f for f in found.report.findings if f.kind == "suspicious-labels")
    assert (found.suspicious, told.level, told.count) == ([], "note", 0)
    assert re.match(
        r"labels were not reviewed: counting words tells nothing of them \(it gets \d+\.\d% of a label's rows right, "
        r"averaged over labels, guessing 33\.3%\)",
        told.message,
    )
