"""A config with other settings: what `with_` changes, keeps and refuses."""

import pytest

from fintune.config.load import load
from fintune.config.run_config import CompareSection
from fintune.errors import ConfigError


def test_settings_of_any_depth_are_changed_and_nothing_else() -> None:
    config = load({"train": {"epochs": 2}, "method": {"name": "lora", "r": 4}})
    other = config.with_(name="other", train__seed=7, data__split__train_examples=50, compare=CompareSection(seeds=5))
    changed = config.model_dump()
    changed["name"], changed["train"]["seed"], changed["data"]["split"]["train_examples"] = "other", 7, 50
    changed["compare"]["seeds"] = 5
    assert other.model_dump() == changed
    assert (config.name, config.train.seed) == ("run", 0)
    assert type(other.method) is type(config.method)


def test_settings_of_a_section_are_changed_together() -> None:
    config = load({"model": {"quantization": "nf4", "double_quantization": True}})
    assert not config.with_(model__quantization="none", model__double_quantization=False).model.quantized
    with pytest.raises(ConfigError, match="double_quantization"):
        config.with_(model__quantization="none")


@pytest.mark.parametrize("settings", [{"train__epoch": 3}, {"train__epochs": 0}, {"nothing": 1}])
def test_a_setting_is_checked(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        load({}).with_(**settings)
