"""A search proposes, goes on where it was, and writes a config that holds the best."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fintune.comparison.compare import compare
from fintune.comparison.search import Search, search
from fintune.config.load import load
from fintune.errors import BrokenEnvironment, ModelError, TrainingError, UsageError
from fintune.records import Score
from tests.conftest import Command

SETTINGS = ["learning_rate=1e-4:1e-1", "r=2:16"]


class Pretended(NamedTuple):
    """A run whose macro-F1 is best at a learning rate of 0.01 and falls off on both sides."""

    rate: float

    def scores(self) -> dict[str, Any]:
        value = 1 - abs(math.log10(self.rate) + 2) / 3
        return {"validation": {"macro_f1": Score(value, value, value, 9)}}


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """Learning rate and rank of every run that is asked for; none is made."""
    asked: list[tuple[float, int]] = []

    def made(config: Any, part: str) -> Pretended:
        assert part == "validation"
        assert not config.evaluation.test
        asked.append((config.train.learning_rate, config.method.r))
        return Pretended(config.train.learning_rate)

    monkeypatch.setattr("fintune.comparison.search.finished_run", made)
    return asked


def test_the_best_of_all_trials_is_written_as_a_config(
    tiny_config: dict[str, Any], rates: list[tuple[float, int]], tmp_path: Path
) -> None:
    found = search(tiny_config, settings=SETTINGS, trials=25)
    assert len(rates) == 25
    assert len(set(rates)) == 25
    (best,) = found.best
    nearest = min(rates, key=lambda run: abs(math.log10(run[0]) + 2))
    assert best.settings == {"train.learning_rate": nearest[0], "method.r": nearest[1]}
    assert (best.label, best.trials) == ("lora", 25)
    rate, r = nearest
    assert best.flags == f"--set method.name=lora --set method.r={r} --set train.learning_rate={rate}"
    assert best.score == Pretended(nearest[0]).scores()["validation"]["macro_f1"].value > 0.95
    assert found.config == tmp_path / "runs" / "tiny-compare" / "best.yaml"
    (entry,) = load(found.config).compare.methods
    assert (entry.train, entry.options) == ({"learning_rate": nearest[0]}, {"r": nearest[1]})
    closer = [abs(math.log10(rate) + 2) for rate, _ in rates]
    assert sum(closer[10:]) / 15 < sum(closer[:10]) / 10, "it learns from what it has seen"


def test_more_trials_go_on_as_if_never_stopped(
    tiny_config: dict[str, Any], rates: list[tuple[float, int]], tmp_path: Path
) -> None:
    search(tiny_config | {"output": str(tmp_path / "whole")}, settings=SETTINGS, trials=12)
    whole = list(rates)
    rates.clear()
    search(tiny_config, settings=SETTINGS, trials=5)
    search(tiny_config, settings=SETTINGS, trials=12)
    assert rates == whole
    search(tiny_config, settings=SETTINGS, trials=12)
    assert len(rates) == 12, "nothing is left to do"
    search(tiny_config, ["train.warmup_ratio=0.2"], settings=SETTINGS, trials=1)
    assert len(rates) == 13, "other settings are another search"


def test_a_killed_trial_is_proposed_again(
    tiny_config: dict[str, Any], rates: list[tuple[float, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    search(tiny_config, settings=SETTINGS, trials=2)
    killed: list[tuple[float, int]] = []

    def die(config: Any, part: str) -> None:
        killed.append((config.train.learning_rate, config.method.r))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fintune.comparison.search.finished_run", die)
        with pytest.raises(KeyboardInterrupt):
            search(tiny_config, settings=SETTINGS, trials=4)
    found = search(tiny_config, settings=SETTINGS, trials=4)
    assert rates[2] == killed[0]
    assert (len(rates), found.best[0].trials) == (4, 4)


def test_what_fails_is_a_trial_too(
    tiny_config: dict[str, Any], rates: list[tuple[float, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    def diverge(config: Any, part: str) -> Pretended:
        nonlocal tried
        tried += 1
        if config.train.learning_rate > 3e-3:
            raise TrainingError("the loss is not a number")
        return Pretended(config.train.learning_rate)

    monkeypatch.setattr("fintune.comparison.search.finished_run", diverge)
    found = search(tiny_config, settings=SETTINGS, trials=8)
    assert (tried, found.best[0].trials) == (8, 8)
    assert found.best[0].settings["train.learning_rate"] <= 3e-3
    monkeypatch.setattr(
        "fintune.comparison.search.finished_run", lambda *_: (_ for _ in ()).throw(ModelError("misfit"))
    )
    with pytest.raises(TrainingError, match="no trial came to a score"):
        search(tiny_config, ["train.seed=7"], settings=SETTINGS, trials=2)


def test_refusals(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("fintune.models.load_model")
    with pytest.raises(UsageError, match="chosen on validation"):
        search(tiny_config | {"compare": {"part": "test"}}, settings=SETTINGS)
    with pytest.raises(UsageError, match="no setting of train or of lora"):
        search(tiny_config, settings=["nothing"])
    monkeypatch.setattr("fintune.comparison.search.find_spec", lambda name: None)
    with pytest.raises(BrokenEnvironment, match="needs optuna"):
        search(tiny_config, settings=SETTINGS)
    assert not Path(tiny_config["output"]).exists()


def test_the_command_and_its_runs_are_those_of_the_comparison(
    fin: Command, tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_config["train"] |= {"epochs": 1, "batch_size": 8}
    tiny_config["evaluation"] |= {"baselines": ["majority"]}
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(tiny_config))
    shown = fin("compare", path, "--search", "learning_rate", "--trials", "2")
    assert shown.code == 0
    config = tmp_path / "runs" / "tiny-compare" / "best.yaml"
    found = json.loads(fin("compare", path, "--search", "learning_rate", "--trials", "2", "--json").out)
    best = found["best"][0]["settings"]["train.learning_rate"]
    assert f"--set train.learning_rate={best}" in shown.out
    assert f"next: fintune compare {config}" in shown.out
    assert found["config"] == str(config)
    monkeypatch.setattr("fintune.comparison.jobs.train", lambda *_, **__: 1 / 0)
    assert compare(config, seeds=1).content["rows"], "the best trial is a finished run of the comparison"
    assert isinstance(search(path, settings=["learning_rate"], trials=2), Search)
