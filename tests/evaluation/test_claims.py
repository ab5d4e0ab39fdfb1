"""What a run claims, the same wherever it is shown: table, exit line, card, page, scores.json, inspect, JSON."""

import json
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.config.load import load
from fintune.data.quality.leaks import Leaks
from fintune.errors import DataError
from fintune.evaluation import claims
from fintune.evaluation.claims import claims_of_part
from fintune.evaluation.evaluate import score
from fintune.evaluation.verdict import TrainAnswers
from fintune.records import Claims, Scores
from fintune.report import write_report
from fintune.runs.model_card import named_scores
from fintune.runtime.progress import listening
from tests.conftest import Command
from tests.made_records import prediction
from tests.report.test_page import plain
from tests.tiny import config_for, tiny_rows


def _all_known(answers: tuple[str, ...]) -> tuple[Claims, Scores]:
    """What is said of thirty texts that all stand in train, the answers given in turn; and the scores of all."""
    gold = ("negative", "neutral", "positive")
    answered = [
        prediction(str(i), f"text {i}", answers[i % len(answers)], answers[i % len(answers)], {}, gold[i % 3])
        for i in range(30)
    ]
    config = load({})
    known = Leaks(train=[p.id for p in answered])
    said = claims_of_part("test", answered, {}, known, config, TrainAnswers(dict.fromkeys(gold, 30)))
    return said, score(answered, config.build_task(), resamples=20, confidence=0.95)


def test_where_all_texts_are_known_what_speaks_against_the_model_is_said_and_what_speaks_for_it_is_not() -> None:
    assert [one.kind for one in _all_known(("neutral",))[0].of("test")] == ["all-leak", "one-label"]
    assert [one.kind for one in _all_known(("negative", "neutral", "positive"))[0].of("test")] == ["all-leak"]


def test_their_row_in_tables_is_marked() -> None:
    said, scores = _all_known(("neutral",))
    assert list(named_scores("lora", {"test": scores}, {}, said)) == ["lora, test (known texts alone)"]


def test_a_task_that_fails_on_few_texts_costs_the_slices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise DataError("task mine: score returned nan for rank")

    monkeypatch.setattr(claims, "sliced", failing)
    whole, lines = Claims({"test": []}), list[tuple[str, str]]()
    with listening(lambda progress: lines.append((progress.stage, progress.note))):
        made = claims.with_slices(whole, "test", [], Leaks(), load({}), [])
    assert made == Claims({"test": []}, slices={"test": []})
    assert lines == [("slices", "left out: task mine: score returned nan for rank")]


def _written(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def useless(tiny_causal: Path, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trained at a rate at which it diverges; as the command prints it too."""
    config = config_for(tiny_causal, rows_file, tmp_path_factory.mktemp("useless"))
    return fintune.train(config, ["train.epochs=1", "train.learning_rate=1", "evaluation.baselines=[tfidf]"])


@pytest.fixture(scope="module")
def leaking(tiny_causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of 24 rows of a given test file 9 stand in train, 3 of them nearly: with another number."""
    folder = tmp_path_factory.mktemp("leaking")
    rows = [row | {"text": f"{i % 7} {row['text']}"} for i, row in enumerate(tiny_rows(90))]
    known = [*rows[:6], *(row | {"text": f"8{row['text']}"} for row in rows[6:9])]
    config = config_for(tiny_causal, _written(folder / "rows.jsonl", rows[:66]), folder)
    config["data"]["test"] = str(_written(folder / "test.jsonl", [*known, *rows[75:]]))
    return fintune.train(config, ["evaluation.baselines=[majority, tfidf]"])


def test_a_useless_run_says_so_wherever_it_is_shown(useless: fintune.Run, fin: Command) -> None:
    told = useless.claims().of("test")[0]
    assert (told.level, told.text[:15]) == ("severe", "Learned nothing")
    assert json.loads((useless.folder / "scores.json").read_text())["verdicts"]["test"][0]["text"] == told.text
    assert f"- **test: {told.text}**" in (useless.folder / "README.md").read_text()
    assert told.text in unescape(plain(write_report([useless.folder])))
    assert told.text in json.loads(fin("inspect", useless.folder, "--json").out)["worth"][0]


def test_the_exit_line_of_a_useless_run(useless: fintune.Run, fin: Command) -> None:
    done = fin("train", useless.folder / "config.yaml", "--resume")
    assert done.code == 0
    last = done.out.splitlines()[-3:]
    assert last[0].startswith("test: Learned nothing: ")
    assert last[2].startswith("next: fintune report ")


def test_a_good_run_says_what_it_is_measured_by(trained: fintune.Run, fin: Command) -> None:
    (told,) = trained.claims().of("test")
    assert told.kind in ("ahead", "too-few")
    done = fin("train", trained.folder / "config.yaml", "--resume")
    assert f"test: {told.text}" in done.out
    assert "next: fintune predict" in done.out
    assert "Learned nothing" not in done.out


def test_a_score_with_leaks_is_marked_and_the_clean_one_stands_beside(leaking: fintune.Run, fin: Command) -> None:
    leaks, clean = leaking.data()["leaks"]["test"], leaking.claims().splits["test"]
    assert leaks["train"] == [f"test.jsonl:{i}" for i in range(1, 10)]
    answered = [p for p in leaking.predictions("test") if p.id not in leaks["train"]]
    assert clean["accuracy"].n == len(answered) == 15
    assert clean["accuracy"].value == sum(p.right for p in answered) / 15
    told = next(s for s in leaking.claims().of("test") if s.kind == "leaks")
    assert told.level == "severe"
    assert told.text.startswith(
        "Of its 24 texts 9 stand in train, word by word or nearly: on the 15 that are new to the model"
    )
    printed, card = (
        fin("train", leaking.folder / "config.yaml", "--resume").out,
        (leaking.folder / "README.md").read_text(),
    )
    for shown in (printed, card):
        for row in ("test (all 24 texts)", "test (15 new texts)", "tfidf, test (15 new texts)", told.text):
            assert row in shown
    assert json.loads((leaking.folder / "scores.json").read_text())["clean"]["splits"]["test"]["accuracy"]["n"] == 15


def test_the_page_of_leaks_does_not_say_never_seen(leaking: fintune.Run) -> None:
    page = plain(write_report([leaking.folder]))
    assert "it has never seen" not in page.split("Result")[0]
    assert "On 24 texts, of which 9 are known to it from training," in page
    assert "On the 15 that are new to it, " in page
    other = plain(leaking.folder / "report.html", "zh")
    assert "其中 9 条在训练中已见过" in other
    assert "24 条文本中有 9 条也在训练集、另有 0 条" in other


def test_verdicts_go_by_the_rows_that_are_new(leaking: fintune.Run) -> None:
    judged = [s for s in leaking.claims().of("test") if s.kind not in ("leaks", "conflicts")]
    assert all("24" not in s.text for s in judged)
    assert any("15" in s.text for s in judged)


def test_a_file_that_overlaps_train_is_marked(
    trained: fintune.Run, rows_file: Path, tmp_path: Path, fin: Command
) -> None:
    lines = rows_file.read_text().splitlines()
    ids = {name: trained.data()["ids"][name] for name in ("train", "test")}
    known = [lines[int(i.split(":")[1]) - 1] for i in ids["train"][:4]]
    new = [lines[int(i.split(":")[1]) - 1] for i in ids["test"]]
    (tmp_path / "other.jsonl").write_text("\n".join([*known, *new]) + "\n")
    found = json.loads(fin("evaluate", trained.folder, "--data", tmp_path / "other.jsonl", "--json").out)
    assert found["worth"][0]["text"].startswith(
        "Of its 22 texts 4 stand in train, word by word or nearly: on the 18 that"
    )
    assert found["clean"]["accuracy"] == pytest.approx(
        found["clean"]["accuracy"] | {"value": trained.scores()["test"]["accuracy"].value}
    )
    shown = fin("evaluate", trained.folder, "--data", tmp_path / "other.jsonl").out
    assert "other.jsonl (18 new texts)" in shown
    assert "other.jsonl: Of its 22 texts 4 stand in train" in shown


def test_what_cannot_be_checked_is_said(trained: fintune.Run, rows_file: Path, tmp_path: Path, fin: Command) -> None:
    copied = Path(shutil.copytree(trained.folder, tmp_path / "copy"))
    config = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(config.replace(str(rows_file), str(tmp_path / "gone.jsonl")))
    (tmp_path / "other.jsonl").write_text(rows_file.read_text())
    shown = fin("evaluate", copied, "--data", tmp_path / "other.jsonl").out
    assert f"could not be checked: {tmp_path / 'gone.jsonl'}" in shown
    (tmp_path / "gone.jsonl").write_text(rows_file.read_text() + "\n")
    shown = fin("evaluate", copied, "--data", tmp_path / "other.jsonl").out
    assert "could not be checked: rows.jsonl is not the file it was" in shown


def test_scores_of_an_earlier_fintune_are_said_to_be_unjudged(
    trained: fintune.Run, tmp_path: Path, fin: Command
) -> None:
    copied = fintune.Run(Path(shutil.copytree(trained.folder, tmp_path / "copy")))
    content = {k: v for k, v in copied.raw_scores().items() if k not in ("verdicts", "clean")}
    copied.write_json("scores.json", content)
    assert "test: Not judged when it was scored: fintune evaluate" in fin("inspect", copied.folder).out
    assert "Not judged" in plain(write_report([copied.folder]))
    fin("evaluate", copied.folder)
    assert copied.claims().of("test") == trained.claims().of("test")
