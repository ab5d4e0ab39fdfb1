"""A comparison of tiny runs: what it writes, what it reuses, goes on with, lists as failed, and refuses before weights load."""

import html
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import fintune
from fintune.comparison.compare import Comparison, compare
from fintune.comparison.planned_runs import comparison_config, planned_runs, with_all_baselines
from fintune.config.prepare import prepare
from fintune.errors import ConfigError, DataError, ModelError, RunError, TrainingError, UsageError
from fintune.methods import METHODS
from fintune.models.digests import folder_sha256
from fintune.report import write_report
from fintune.runs.run import Run
from fintune.runtime.progress import Progress, listening
from fintune.tasks.baselines import BASELINES
from tests.conftest import Command
from tests.tiny import config_for

FIRM = {"name": "lora", "label": "firm", "lora_alpha": 16}
STILL = {"name": "lora", "label": "still", "train": {"learning_rate": 0}}
MISFIT = {"name": "lora", "label": "misfit", "target_modules": "nothing_here"}


def settings(model: Path, rows: Path, folder: Path) -> dict[str, Any]:
    config = config_for(model, rows, folder)
    config["train"] |= {"epochs": 1, "batch_size": 8}
    config["evaluation"] |= {"baselines": ["majority", "zero-shot"], "forgetting": False}
    return config | {"compare": {"methods": [FIRM, MISFIT, STILL], "seeds": 2, "sizes": [12]}}


@pytest.fixture
def quick(tiny_config: dict[str, Any]) -> dict[str, Any]:
    """One run of one epoch a row."""
    tiny_config["train"] |= {"epochs": 1, "batch_size": 8}
    tiny_config["evaluation"] |= {"baselines": ["majority"], "forgetting": False}
    return tiny_config | {"compare": {"methods": [FIRM, STILL], "seeds": 1}}


@pytest.fixture(scope="session")
def compared(tiny_causal: Path, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A finished comparison; tests must not change it."""
    return compare(settings(tiny_causal, rows_file, tmp_path_factory.mktemp("compared")))


def told(action: Any) -> list[str]:
    events: list[Progress] = []
    with listening(events.append):
        action()
    return [event.note for event in events]


def forbid_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing must be loaded or trained here")

    monkeypatch.setattr("fintune.comparison.jobs.train", never)
    monkeypatch.setattr("fintune.models.load_model", never)


def test_the_record_holds_all_that_is_read_from_it(compared: Comparison) -> None:
    content = json.loads((compared.folder / "comparison.json").read_text())
    assert content == compared.content
    assert list(content) == [
        "fingerprint", "part", "labels", "headline", "n", "confidence", "seeds", "leaks", "rows", "pairs", "groups", "recommendation",
        "pareto", "learning_curve", "failed",
    ]  # fmt: skip
    assert (content["part"], content["n"], content["seeds"]) == ("validation", 9, [0, 1])
    assert content["labels"] == ["negative", "neutral", "positive"]
    rows = {row["name"]: row for row in content["rows"]}
    assert {name: (row["kind"], row["seeds"]) for name, row in rows.items()} == {
        "firm": ("method", 2), "still": ("method", 2), "majority": ("baseline", 1), "zero-shot": ("baseline", 1),
    }  # fmt: skip
    assert set(rows["firm"]) == {
        "name", "kind", "seeds", "scores", "trainable_parameters", "adapter_mb", "train_seconds", "peak_memory_bytes",
        "seconds_per_1000", "forgetting", "group", "runs", "clean", "ahead",
    }  # fmt: skip
    assert len(content["pairs"]) == 6
    assert set(content["pairs"][0]) == {
        "a",
        "b",
        "metric",
        "difference",
        "discordant",
        "right",
        "p_bootstrap",
        "p_mcnemar",
        "p_holm",
    }
    assert sorted(name for names in content["groups"] for name in names) == sorted(rows)
    assert content["recommendation"].startswith("No recommendation: on 9 texts (validation)")


def test_a_row_is_what_its_runs_scored_and_cost(compared: Comparison) -> None:
    row = next(row for row in compared.content["rows"] if row["name"] == "firm")
    runs = [Run.open(compared.folder / path) for path in row["runs"]]
    assert [run.config().train.seed for run in runs] == [0, 1]
    for metric in ("accuracy", "macro_f1", "mcc"):
        values = [run.scores()["validation"][metric].value for run in runs]
        assert row["scores"][metric]["value"] == pytest.approx(sum(values) / 2)
    found = [run.environment() for run in runs]
    assert row["trainable_parameters"] == found[0]["trainable_parameters"] > 0
    assert row["train_seconds"] == pytest.approx(sum(e["train_seconds"] for e in found) / 2)
    assert row["peak_memory_bytes"] == max(e["peak_memory_bytes"] for e in found)
    assert row["seconds_per_1000"] > 0
    size = sum(file.stat().st_size for file in runs[0].adapter.iterdir())
    assert row["adapter_mb"] == pytest.approx(size / 1e6, rel=1e-3)
    assert row["forgetting"] is None


def test_runs_hold_one_difference_each_and_leave_the_test_part_alone(compared: Comparison) -> None:
    firm, still = (
        Run(compared.folder / next(r for r in compared.content["rows"] if r["name"] == name)["runs"][0]).config()
        for name in ("firm", "still")
    )
    assert firm.method.model_dump() == still.method.model_dump() | {"lora_alpha": 16}
    assert (firm.train.learning_rate, still.train.learning_rate) == (3e-2, 0)
    assert firm.train.model_copy(update={"learning_rate": 0}) == still.train
    for folder in (compared.folder / "runs").iterdir():
        if folder.is_dir():
            assert set(Run(folder).scores()) == {"validation"}
            assert Run(folder).config().compare.methods == []


def test_what_does_not_fit_is_listed_and_the_others_go_on(compared: Comparison) -> None:
    reason = "method.target_modules: no layer's whole name fits 'nothing_here'"
    assert compared.content["failed"] == [{"name": "misfit", "reason": reason}]


def test_the_learning_curve_is_nested_and_leaves_the_other_parts(compared: Comparison) -> None:
    points = {(p["name"], p["size"]) for p in compared.content["learning_curve"]}
    whole = len(Run(compared.folder / compared.content["rows"][0]["runs"][0]).data()["ids"]["train"])
    assert points == {(name, size) for name in ("firm", "still", "majority") for size in (12, whole)}
    small = [Run(path) for path in (compared.folder / "runs").glob("firm-n12-*")]
    assert len(small) == 2
    large = Run(next((compared.folder / "runs").glob("firm-seed0-*")))
    for run in small:
        assert run.data()["ids"]["train"] == small[0].data()["ids"]["train"]
        assert len(run.data()["ids"]["train"]) == 12
        assert set(run.data()["ids"]["train"]) < set(large.data()["ids"]["train"])
        for part in ("validation", "test"):
            assert run.data()["ids"][part] == large.data()["ids"][part]


def test_a_second_call_trains_nothing_and_says_the_same(
    compared: Comparison, tiny_causal: Path, rows_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_training(monkeypatch)
    config = settings(tiny_causal, rows_file, compared.folder.parent.parent)
    config["compare"]["methods"] = [FIRM, STILL]
    again = compare(config)
    assert again.content == dict(compared.content) | {"failed": []}
    assert compare(config, methods=["still"], seeds=1, sizes=[]).content["rows"][0]["name"] in ("still", "zero-shot")


def test_a_report_of_it_shows_every_row_and_misses_nothing(compared: Comparison, tmp_path: Path) -> None:
    content = json.loads((compared.folder / "comparison.json").read_text())
    shown = html.unescape(write_report([compared.folder], tmp_path / "page.html").read_text())
    assert len(content["rows"]) > 1
    for row in content["rows"]:
        assert row["name"] in shown, row["name"]
        assert all(Run(compared.folder / run).config().name in shown for run in row["runs"][:1])
    assert content["recommendation"] in shown
    assert all(failed["reason"] in shown for failed in content["failed"])
    assert "are not where the comparison says" not in shown


def test_one_method_more_costs_its_own_runs_only(quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    compare(quick)
    made: list[str] = []
    original = fintune.training.train.train  # type: ignore[attr-defined]

    def count(config: Any, **how: Any) -> Run:
        made.append(config.name)
        return original(config, **how)

    monkeypatch.setattr("fintune.comparison.jobs.train", count)
    found = compare(quick, methods=["firm", "lora"])
    assert [name.split("-")[0] for name in made] == ["lora"]
    assert {row["name"] for row in found.content["rows"]} == {"firm", "lora", "majority"}
    compare(quick, ["evaluation.resamples=150"])
    assert len(made) == 1, "a setting of scoring trains nothing anew"
    compare(quick, ["train.learning_rate=1e-3"], methods=["firm"])
    assert len(made) == 2, "a setting of training does"
    renamed = compare(quick | {"compare": {"methods": [FIRM | {"label": "strong"}], "seeds": 1}})
    assert len(made) == 2, "a label is no setting"
    assert {row["name"] for row in renamed.content["rows"]} == {"strong", "majority"}


def test_an_interrupted_comparison_goes_on_where_it_was(quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    quick["train"]["epochs"] = 2
    original = Run.save_adapter

    def stop(self: Run, model: Any) -> None:
        if "still" in self.folder.name:
            raise KeyboardInterrupt
        original(self, model)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save_adapter", stop)
        with pytest.raises(KeyboardInterrupt):
            compare(quick)
    folder = Path(quick["output"]) / "tiny-compare"
    partial = json.loads((folder / "comparison.json").read_text())
    assert {row["name"] for row in partial["rows"]} == {"firm", "majority"}
    notes = told(lambda: compare(quick))
    assert any("firm" in note and "finished already" in note for note in notes)
    assert any("going on from step" in note for note in notes)
    still = Run(next((folder / "runs").glob("still-*")))
    assert len(still.environment()["resumed"]) == 1
    steps = [line for line in still.log() if "step" in line]
    assert sum(line["examples"] for line in steps) == 2 * 63, "the lines of both parts"
    seconds = sum(line["examples"] / line["examples_per_second"] for line in steps)
    assert still.environment()["train_seconds"] == pytest.approx(seconds)
    assert {row["name"] for row in compare(quick).content["rows"]} == {"firm", "still", "majority"}


def test_the_test_part_is_scored_once_by_the_runs_that_are_there(
    quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compare(quick)
    scored: list[str] = []
    original = fintune.evaluation.score.score_part  # type: ignore[attr-defined]
    monkeypatch.setattr("fintune.comparison.jobs.train", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(
        "fintune.comparison.jobs.score_part",
        lambda run, part: (scored.append(run.folder.name), original(run, part)),
    )
    found = compare(quick, part="test")
    assert (found.content["part"], found.content["n"]) == ("test", 18)
    assert sorted(name.split("-")[0] for name in scored) == ["firm", "still"]
    assert compare(quick, part="test").content == found.content
    assert len(scored) == 2, "a test part is scored once"
    assert compare(quick).content == before.content


def test_other_data_are_other_runs_and_never_mixed(quick: dict[str, Any], tmp_path: Path) -> None:
    rows = tmp_path / "mine.jsonl"
    rows.write_text(Path(quick["data"]["path"]).read_text())
    quick["data"]["path"] = str(rows)
    first = compare(quick)
    rows.write_text(rows.read_text().replace("Alvex", "Alvox"))
    second = compare(quick)
    assert first.content["fingerprint"] != second.content["fingerprint"]
    assert set(first.content["rows"][0]["runs"]) & set(second.content["rows"][0]["runs"]) == set()


def test_runs_of_another_base_are_not_mixed_in(quick: dict[str, Any]) -> None:
    found = compare(quick)
    run = Run(found.folder / next(row for row in found.content["rows"] if row["name"] == "still")["runs"][0])
    run.write_json("environment.json", run.environment() | {"base_sha256": "0" * 64})
    with pytest.raises(RunError, match="trained on other weights"):
        compare(quick)


def test_answers_are_not_read_for_other_texts_in_their_place(quick: dict[str, Any], tmp_path: Path) -> None:
    """The fingerprint knows no order, and an id is a line of a file."""
    lines = Path(quick["data"]["path"]).read_text().splitlines(keepends=True)
    validation = tmp_path / "validation.jsonl"
    validation.write_text("".join(lines[:30]))
    quick["data"] |= {"path": str(tmp_path / "rest.jsonl"), "validation": str(validation)}
    (tmp_path / "rest.jsonl").write_text("".join(lines[30:]))
    before = compare(quick, methods=["firm"])
    validation.write_text("".join(reversed(lines[:30])))
    with pytest.raises(RunError, match="another text was answered there"):
        compare(quick, methods=["firm"])
    validation.write_text("".join(lines[:30]))
    assert compare(quick, methods=["firm"]).content == before.content


def test_a_part_that_train_knows_is_marked_with_the_scores_on_the_rest_beside(
    fin: Command, quick: dict[str, Any], tmp_path: Path
) -> None:
    """Three of the twelve rows of a validation file of one's own stand in train word by word."""
    lines = Path(quick["data"]["path"]).read_text().splitlines(keepends=True)
    (tmp_path / "rest.jsonl").write_text("".join(lines[9:]))
    (tmp_path / "mine.jsonl").write_text("".join(lines[:9]))
    quick["data"] |= {"path": str(tmp_path / "rest.jsonl"), "validation": str(tmp_path / "mine.jsonl")}
    found = prepare(comparison_config(quick)).splits["train"][:3]
    repeated = "".join(json.dumps({"text": e.text, "label": e.target}) + "\n" for e in found)
    (tmp_path / "mine.jsonl").write_text("".join(lines[:9]) + repeated)
    (tmp_path / "run.yaml").write_text(json.dumps(quick))
    shown = fin("compare", tmp_path / "run.yaml", "--methods", "firm")
    content = json.loads((tmp_path / "runs" / "tiny-compare" / "comparison.json").read_text())
    assert (content["n"], content["leaks"]) == (12, 3)
    rows = {row["name"]: row for row in content["rows"]}
    scores = Run.open(next((tmp_path / "runs" / "tiny-compare" / "runs").glob("firm-*"))).claims().splits["validation"]
    assert rows["firm"]["clean"]["accuracy"]["value"] == pytest.approx(scores["accuracy"].value)
    assert {row["clean"]["accuracy"]["n"] for row in rows.values()} == {scores["accuracy"].n} == {9}
    assert shown.out.count("9 new texts") == 2
    assert "3 of the 12 texts stand in train or validation too" in " ".join(shown.out.split())
    page = write_report([tmp_path / "runs" / "tiny-compare"], tmp_path / "page.html").read_text()
    assert "3 of the 12 texts stand in train or validation too" in page


def test_other_weights_in_the_bases_place_are_noticed(quick: dict[str, Any], tmp_path: Path) -> None:
    base = Path(shutil.copytree(quick["model"]["base"], tmp_path / "base"))
    quick["model"]["base"], quick["evaluation"]["baselines"] = str(base), ["zero-shot"]
    first = compare(quick, methods=["firm"])
    weights = load_file(base / "model.safetensors")
    save_file({n: t * 1.5 for n, t in weights.items()}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(RunError, match="trained on other weights or another tokenizer than the base model has now"):
        compare(quick, methods=["firm"])
    shutil.rmtree(first.folder / "runs")
    again = compare(quick, methods=["firm"])
    asked = [json.loads(file.read_text()) for file in again.folder.glob("baselines/zero-shot-*/costs.validation.json")]
    runs = [Run(run).environment() for run in (again.folder / "runs").iterdir() if run.is_dir()]
    assert {one["base_sha256"] for one in (*asked, *runs)} == {folder_sha256(base)}


def test_texts_with_line_separators_in_them_are_read_again(quick: dict[str, Any], tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(Path(quick["data"]["path"]).read_text().replace(" and ", " and\\u2028"))
    quick["data"]["path"] = str(rows)
    assert compare(quick, methods=["firm"]).content == compare(quick, methods=["firm"]).content


def test_a_row_that_needs_more_memory_than_there_is_is_left_out(
    quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fintune.training.train.train  # type: ignore[attr-defined]

    def train(config: Any, **how: Any) -> Run:
        if "firm" in config.name and config.train.seed == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return original(config, **how)

    monkeypatch.setattr("fintune.comparison.jobs.train", train)
    done = compare(quick, seeds=2, sizes=[12])
    assert done.content["failed"] == [{"name": "firm", "reason": "with seed 1: out of memory"}]
    assert {row["name"] for row in done.content["rows"]} == {"still", "majority"}


def test_what_fails_on_a_smaller_part_alone_stays_in_the_table(
    quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fintune.training.train.train  # type: ignore[attr-defined]

    def train(config: Any, **how: Any) -> Run:
        if "firm-n12" in config.name:
            raise TrainingError("the loss is not a number", hint="")
        return original(config, **how)

    monkeypatch.setattr("fintune.comparison.jobs.train", train)
    done = compare(quick, sizes=[12])
    assert done.content["failed"] == [{"name": "firm, 12 examples", "reason": "the loss is not a number"}]
    assert {row["name"] for row in done.content["rows"]} == {"firm", "still", "majority"}
    assert {p["name"] for p in done.content["learning_curve"] if p["size"] == 12} == {"still", "majority"}


def test_every_baseline_is_scored_and_forgetting_measured_unless_the_config_says_otherwise(
    quick: dict[str, Any],
) -> None:
    config = comparison_config(quick)
    assert with_all_baselines(config, quick) == config
    whole = with_all_baselines(config, {}).evaluation
    assert (set(whole.baselines), whole.forgetting) == (set(BASELINES), True)
    assert with_all_baselines(config, {"evaluation": {"forgetting": False}}).evaluation.baselines == whole.baselines


def test_the_majority_class_is_a_row_of_every_comparison(quick: dict[str, Any]) -> None:
    quick["evaluation"]["baselines"] = []
    assert {row["name"] for row in compare(quick, methods=["firm"]).content["rows"]} == {"firm", "majority"}


def test_each_method_has_its_own_learning_rate_unless_one_is_set(quick: dict[str, Any], tmp_path: Path) -> None:
    rates = {name: METHODS[name].learning_rate for name in ("lora", "ia3")}
    assert len(set(rates.values())) == 2
    del quick["train"]["learning_rate"]

    def planned(*overrides: str) -> dict[str, float]:
        prepared = prepare(comparison_config(quick, overrides, methods=["lora", "ia3"], seeds=1))
        return {one.label: one.config.train.peak_learning_rate for one in planned_runs(prepared, {}, tmp_path)}

    assert planned() == planned("train.learning_rate=auto") == rates
    assert planned("train.learning_rate=0.002") == {"lora": 0.002, "ia3": 0.002}


def test_a_row_may_hold_the_base_in_fewer_bits(quick: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"name": "lora", "label": name, "model": {"quantization": name}} for name in ("none", "nf4")]
    prepared = prepare(comparison_config(quick | {"compare": {"methods": rows, "seeds": 1}}))
    found = {one.label: one.config.model.quantization for one in planned_runs(prepared, {}, tmp_path)}
    assert found == {"none": "none", "nf4": "nf4"}


def test_what_a_run_is_compared_with_changes_nothing_about_it(quick: dict[str, Any]) -> None:
    run = fintune.train(quick)
    assert fintune.train(quick | {"compare": {"methods": ["lora"], "seeds": 5}}, resume=True) == run


def test_forgetting_is_read_where_it_was_measured(quick: dict[str, Any]) -> None:
    found = compare(quick)
    run = Run(found.folder / next(row for row in found.content["rows"] if row["name"] == "still")["runs"][0])
    run.write_json("forgetting.json", {"before": 20.0, "after": 25.0, "tokens": 9})
    rows = {row["name"]: row["forgetting"] for row in compare(quick).content["rows"]}
    assert rows == {"firm": None, "still": {"before": 20.0, "after": 25.0}, "majority": None}


REFUSED: dict[str, tuple[Mapping[str, Any], type[Exception], str]] = {
    "unknown method": ({"methods": ["lorra"]}, ConfigError, "unknown method 'lorra'. Did you mean 'lora'?"),
    "no method": ({"methods": []}, UsageError, "no method to compare"),
    "unknown setting": (
        {"methods": [{"name": "lora", "rr": 4}]},
        ConfigError,
        "compare.methods, lora: method.rr: unknown setting. Did you mean 'r'?",
    ),
    "bad value": (
        {"methods": [FIRM | {"train": {"learning_rate": -1}}]},
        ConfigError,
        "compare.methods, firm: train.learning_rate",
    ),
    "its own budget": (
        {"methods": [FIRM | {"train": {"epochs": 9}}]},
        ConfigError,
        "compare.methods, firm: train.epochs: is the same for all rows",
    ),
    "its own base": (
        {"methods": [FIRM | {"model": {"base": "embedded"}}]},
        ConfigError,
        "compare.methods, firm: model.base: is the same for all rows",
    ),
    "one name twice": ({"methods": ["lora", "lora"]}, ConfigError, "two rows are called 'lora'"),
    "a baseline's name": (
        {"methods": [FIRM | {"label": "majority"}]},
        ConfigError,
        "'majority' is what a baseline is called",
    ),
    "too large a size": (
        {"methods": [FIRM], "sizes": [20, 500]},
        DataError,
        "compare.sizes: 500 of a train part of 63",
    ),
    "too small a size": ({"methods": [FIRM], "sizes": [1]}, DataError, "compare.sizes: 1 of a train part of 63"),
    "no seed": ({"methods": [FIRM], "seeds": 0}, ConfigError, "compare.seeds"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_weights_load(quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    section, kind, message = REFUSED[name]
    forbid_training(monkeypatch)
    with pytest.raises(kind) as caught:
        compare(quick | {"compare": dict(section)})
    assert message in str(caught.value)
    assert not Path(quick["output"]).exists()


def test_when_nothing_can_be_trained_the_reason_is_the_error(quick: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"no method could be trained; misfit: method\.target_modules: no layer"):
        compare(quick | {"compare": {"methods": [MISFIT], "seeds": 1}})


def test_the_command_shows_groups_costs_and_what_to_do(fin: Command, quick: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(quick))
    shown = fin("compare", path, "--methods", "firm,lora,still", "--seeds", "1", "--sizes", "12")
    assert shown.code == 0
    content = json.loads((tmp_path / "runs" / "tiny-compare" / "comparison.json").read_text())
    flat = " ".join(shown.out.split())
    assert content["recommendation"] in flat
    for row in content["rows"]:
        assert f"{row['group']} {row['name']} {100 * row['scores']['macro_f1']['value']:.1f} [" in flat
    assert f"{content['rows'][0]['trainable_parameters'] or 7424:,}" in flat
    assert "macro-F1 by examples to learn from" in flat
    assert "forgetting" not in flat, "nothing is known about it"
    again = fin("compare", path, "--methods", "firm,lora,still", "--seeds", "1", "--sizes", "12", "--json")
    assert json.loads(again.out) == content
    refused = fin("compare", path, "--sizes", "12,many")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "error: --sizes 12,many: not whole numbers")
    assert "part" in fin("compare", path, "--part", "train").err
