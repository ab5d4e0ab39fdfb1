"""The page as text: what it says, what it must not hold, its size, its two languages."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from fintune.errors import BrokenEnvironment
from fintune.report import write_report
from fintune.report.words import LANGUAGES, table
from fintune.runs.files import MARK
from fintune.runs.run import Run
from fintune.runtime.install import with_extra
from tests.conftest import Command
from tests.report.made import (
    LABELS,
    NASTY,
    UNKNOWN,
    attribution,
    made_comparison,
    made_numbers,
    made_run,
    made_texts,
    rewrite,
)

LABELS_ONLY = (
    "macro-f1", "accuracy", "mcc", "confusion", "each label", "weakest label", "balance of labels", "true label", "(ece)",
    "confidence when", "reliability", "most uncertain",
)  # fmt: skip
"""What a page shows of labels alone."""


def plain(page: Path, language: str = "en") -> str:
    """What a reader of one language sees, blanks made plain."""
    other = next(name for name in LANGUAGES if name != language)
    text = re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.S)
    text = re.sub(rf'<span class="t" lang="{other}">.*?</span>', "", text, flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", "", text).split())


def charts_of(page: Path) -> Any:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page.read_text(), re.S)
    assert found
    return json.loads(found[1])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_run(tmp_path / "first")


def test_the_first_sentence_says_how_good_it_is(run: Run) -> None:
    page = write_report([run.folder])
    assert page == run.folder / "report.html"
    assert "On 60 texts it has never seen, its macro-F1 is 65.0 % (95 % interval " in plain(page)
    assert "在 60 条从未见过的文本上，其宏平均 F1为 65.0 %（95 % 置信区间 " in plain(page, "zh")
    assert "the most frequent label 65.0 %" in plain(page)
    assert "ECE 0.275" in plain(page)  # 39 right answers say 0.9, 21 wrong ones 0.6: 0.65 * 0.1 + 0.35 * 0.6


def test_a_run_of_labels_shows_its_headline_and_its_weakest_label(run: Run) -> None:
    shown = plain(write_report([run.folder]))
    assert "Macro-F1 (%) Accuracy (%) MCC" in shown
    assert "Macro-F1 beside simple baselines" in shown
    weakest = min(LABELS, key=lambda label: run.scores()["test"][f"f1/{label}"].value)
    assert f"Its weakest label is “{weakest}”, with F1 " in shown
    assert [one for one in LABELS_ONLY if one not in shown.lower()] == []


def test_every_chart_of_a_whole_run_is_there_in_both_languages(run: Run) -> None:
    found = charts_of(write_report([run.folder]))
    names = {
        "against",
        "per_class",
        "confidence_right",
        "confidence_wrong",
        "reliability",
        "loss",
        "quality",
        "balance",
        "lengths",
    }
    assert {name.partition(".")[2] for name in found["en"]} == names
    assert found["en"].keys() == found["zh"].keys()
    assert found["zh"]["run1.loss"]["description"] == "损失"
    per_class = found["en"]["run1.per_class"]["data"]["values"]
    assert len(per_class) == 9
    assert per_class[0]["value"] == run.scores()["test"]["precision/negative"].value


@pytest.mark.parametrize(
    ("text", "shown"),
    [("CC_BY_NC_SA", "CC_BY_NC_SA not for commercial use"), (None, "not said not known to be free"), ("MIT", "MIT ab")],
)
def test_a_license_says_what_it_means_for_commercial_use(run: Run, text: str | None, shown: str) -> None:
    data = run.data()
    run.write_json("data.json", data | {"sources": [data["sources"][0] | {"license": text}]})
    page = write_report([run.folder]).read_text().replace("<br>", " ").replace("</td><td>", " ")
    run.folder.joinpath("plain.html").write_text(page)
    assert shown in plain(run.folder / "plain.html")


def test_the_command_that_makes_it_again(run: Run) -> None:
    page = plain(write_report([run.folder]))
    assert f"fintune train {run.folder}/config.yaml --set name=first-again" in page
    assert "pip install torch==2.13.0 fintune train" in page
    assert "fintune train run.yaml --set &#39;name=a b&#39;" in page


def test_text_of_the_user_is_only_ever_text(tmp_path: Path) -> None:
    run = made_run(tmp_path / "a", text=NASTY)
    run.write_json("attributions.json", [attribution(NASTY, [{"text": NASTY, "effect": 0.2}])])
    written = write_report([run.folder]).read_text()
    assert "<img" not in re.sub(r"<script>.*?</script>", "", written, flags=re.S)
    assert written.count("</script>") == 3
    assert "&lt;/script&gt;&lt;img src=x" in written


def test_labels_are_escaped_inside_the_charts(tmp_path: Path) -> None:
    run = made_run(tmp_path / "a")
    path = run.folder / "scores.json"
    path.write_text(path.read_text().replace("/positive", f"/{json.dumps(NASTY)[1:-1]}"))
    rewrite(run, "test", probabilities={NASTY: 0.9, "neutral": 0.1}, answer=NASTY, gold=NASTY)
    page = write_report([run.folder])
    assert page.read_text().count("</script>") == 3
    assert NASTY in {row["label"] for row in charts_of(page)["en"]["run1.per_class"]["data"]["values"]}


def test_texts_can_be_left_out(tmp_path: Path) -> None:
    run = made_run(tmp_path / "a", text="Confidential merger")
    run.write_json("attributions.json", [attribution("Confidential", [{"text": "Confidential"}])])
    shown, kept = (write_report([run.folder], tmp_path / f"{t}.html", texts=t).read_text() for t in (True, False))
    assert ("Confidential" in shown, "quoted: secret" in shown) == (True, True)
    assert ("Confidential" in kept, "secret" in kept) == (False, False)
    assert "rows.csv:3" in kept


def test_numbers_show_their_largest_errors_and_no_word_of_labels(tmp_path: Path) -> None:
    run = made_numbers(tmp_path / "a")
    run.write_json(
        "attributions.json", [attribution("one", [{"text": "one", "effect": 0.5}], answer=1.25, probability=None)]
    )
    page = write_report([run.folder])
    shown = plain(page)
    for said in (
        "its answer loss is 1.250 (95 % interval 1.125 to 1.500). For comparison: the mean 1.250.",
        "Answer loss beside simple baselines", "Model Part Answer loss Made up", "Largest errors",
        "Error Id Text 19 1 ✗ unreadable: ? – rows.csv:19 Text 18 1 2.8 1.8 rows.csv:18 ", "How far the answer falls",
        "1.25 · Strongest: one +0.50",
    ):  # fmt: skip
        assert said in shown
    assert [one for one in (*LABELS_ONLY, "(%)") if one in shown.lower()] == []
    assert "None" not in shown
    assert set(charts_of(page)["en"]) == {"run1.against", "run1.loss", "run1.quality", "run1.lengths"}
    assert "答案损失" in plain(page, "zh")


@pytest.mark.parametrize(("kind", "gold"), [("texts", "Profit rose."), ("lists", "Acme; Beta")])
def test_written_answers_stand_beside_the_true_ones(tmp_path: Path, kind: str, gold: str) -> None:
    run = made_texts(tmp_path / "a", kind=kind)
    page, kept = (write_report([run.folder], tmp_path / f"{texts}.html", texts=texts) for texts in (True, False))
    shown = plain(page)
    assert "On 12 texts it has never seen, its made up is 0.500" in shown
    assert f"{gold} ✗ written 11 rows.csv:11" in shown
    assert [one for one in (*LABELS_ONLY, "written 10") if one in shown.lower()] == []
    assert "None" not in shown
    assert set(charts_of(page)["en"]) == {"run1.against", "run1.loss", "run1.quality", "run1.lengths"}
    assert [one for one in ("written 11", gold, "Text 11") if one in kept.read_text()] == []
    assert "rows.csv:11" in plain(kept)


@pytest.mark.parametrize("made", [made_numbers, made_texts])
def test_contents_name_the_sections_that_are_there(tmp_path: Path, made: Callable[[Path], Run]) -> None:
    written = write_report([made(tmp_path / "a").folder]).read_text()
    listed = re.findall(r'<li><a href="#(run1-\w+)">', written)
    assert listed == [f"run1-{name}" for name in ("result", "texts", "training", "data", "again")]
    assert listed == re.findall(r'<h2 id="(run1-\w+)">', written)


def test_a_run_whose_scores_name_no_headline_has_no_figures(run: Run) -> None:
    scores = run.raw_scores()
    run.write_json("scores.json", {**scores, "task": {}})
    page = write_report([run.folder])
    assert "No scores are stored" in plain(page)
    assert "Quality beside simple baselines" in plain(page)
    assert not {"run1.against", "run1.quality", "run1.reliability"} & set(charts_of(page)["en"])


def test_words_that_moved_an_answer_are_tinted_by_their_effect(run: Run) -> None:
    words = [{"text": "fell", "effect": 0.4}, {"text": "not", "effect": -0.2}, {"text": "the", "effect": 0.0}]
    run.write_json("attributions.json", [attribution("“Profit fell”, not the … <i>", words)])
    written = write_report([run.folder]).read_text()
    for kind, tint, word in (("pro", 45, "fell"), ("contra", 22, "not"), ("pro", 0, "the")):
        assert re.search(rf'<span class="{kind}" style="--tint: {tint}%" title="[^"]*">{word}</span>', written)
    assert "“Profit fell”, not the … &lt;i&gt;" in re.sub(r"</?span[^>]*>", "", written)


def test_what_is_missing_is_said_and_fails_nothing(tmp_path: Path) -> None:
    bare = made_run(tmp_path / "bare", parts=("validation",))
    assert "The test part was not scored" in plain(write_report([bare.folder]))
    for name in ("scores.json", "data.json", "environment.json", "log.jsonl", "predictions.validation.jsonl"):
        (bare.folder / name).unlink()
    bare.write_text(MARK, "begun today")
    page = plain(write_report([bare.folder]))
    assert "This run is unfinished: begun today" in page
    for said in ("No scores are stored", "log.jsonl holds no loss", "environment.json is missing"):
        assert said in page
    assert "Missing or damaged files of the run folder: scores.json, data.json, environment.json, log.jsonl." in page


def test_several_runs_are_compared_and_picked_from(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    other = made_run(tmp_path / "second")
    other.write_json("data.json", other.data() | {"fingerprint": "another"})
    monkeypatch.chdir(tmp_path)
    page = write_report([run.folder, other.folder])
    assert page == Path("report.html")
    assert '<option value="run2">second</option>' in page.read_text()
    assert '<a href="#run2">' in page.read_text()
    assert "not trained and scored on one split (0123456789abcdef, another)" in plain(page)


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / parent / "run").folder for parent in ("first", "second")]
    shown = write_report(runs, tmp_path / "page.html").read_text()
    for number, folder in enumerate(runs, 1):
        assert f'data-sort="{folder}"><a href="#run{number}">' in shown


def test_a_comparison_shows_its_table_tests_and_runs(tmp_path: Path) -> None:
    made_run(tmp_path / "lora-0")
    folder = made_comparison(tmp_path / "c", {"lora": ["../lora-0"], "ia3": ["../ia3-0"]})
    page = write_report([folder])
    shown = plain(page)
    assert page == folder / "report.html"
    assert "are not where the comparison says: ../ia3-0" in shown
    for said in (
        "On 60 test texts, lora is ahead of all others.",
        "Take lora.",
        "+10.0 %",
        "lora – ia3Macro-F1 (%) +20.0+2.0 – +30.0 0.0100.0200.030",
        "vera could not be made: no layer fits",
    ):
        assert said in shown
    found = charts_of(page)["en"]
    assert {"comparison1.intervals", "comparison1.pareto", "comparison1.learning_curve", "run1.loss"} <= found.keys()
    assert [row["name"] for row in found["comparison1.pareto"]["data"]["values"]] == ["lora", "ia3"]


def test_less_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    folder = made_comparison(
        tmp_path / "c",
        {"lora": [], "ia3": []},
        ("answer_loss", UNKNOWN),
        groups=[],
        pareto=[],
        pairs=[
            {"a": "ia3", "b": "lora", "metric": "answer_loss", "p_bootstrap": 0.25, "p_mcnemar": None, "p_holm": 0.5}
        ],
    )
    page = write_report([folder])
    shown, drawn = plain(page), charts_of(page)["en"]
    assert "2 runs; the best answer loss on the test part is 0.800 (0.750 to 0.850), by ia3." in shown
    assert "Down and to the left is better" in shown
    assert "McNemar" not in shown
    names = [row["name"] for row in drawn["comparison1.intervals"]["data"]["values"]]
    assert names == ["TF-IDF + linear model", "ia3", "lora"]
    assert {row["metric"] for row in drawn["comparison1.intervals"]["data"]["values"]} == {"Answer loss"}
    best = {row["name"]: row["best"] for row in drawn["comparison1.pareto"]["data"]["values"]}
    assert best == {"lora": True, "ia3": True}  # lora is the cheaper, ia3 the better
    assert "format" not in drawn["comparison1.pareto"]["layer"][0]["encoding"]["y"]["axis"]


def test_many_runs_of_long_texts_stay_below_5_mb(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / f"run{i}", text="词" * 3000).folder for i in range(24)]
    page = write_report(runs, tmp_path / "page.html")
    assert page.stat().st_size < 5_000_000
    assert page.read_text().count("词") > 24 * 10 * 600


def test_no_address_is_loaded_and_no_other_script_allowed(run: Run) -> None:
    written = write_report([run.folder]).read_text()
    assert (
        re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', re.sub(r"<script>.*?</script>", "", written, flags=re.S)) == []
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe-eval" not in policy[1]


def test_both_languages_have_every_string_with_the_same_places() -> None:
    for key, words in table().items():
        assert words.keys() == set(LANGUAGES), key
        places = [{name for _, name, _, _ in Formatter().parse(words[language]) if name} for language in LANGUAGES]
        assert places[0] == places[1], key
        assert all(words[language] for language in LANGUAGES) or key == "gap", key


def test_the_command(fin: Command, run: Run, tmp_path: Path) -> None:
    target = tmp_path / "out" / "page.html"
    done = fin("report", run.folder, "-o", target, "--no-texts")
    assert (done.code, done.out) == (0, f"wrote {target}\nnext: open it in a browser\n")
    assert "Text 3" not in target.read_text()
    refused = fin("report", tmp_path)
    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) == 2
    assert "not a run folder (no config.yaml)" in refused.err
    assert fin("report", run.folder, "-o", tmp_path).code == 2


def test_without_the_extra_the_package_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(BrokenEnvironment, match="vl_convert is missing") as error:
        write_report([run.folder])
    assert error.value.hint == with_extra("report")
