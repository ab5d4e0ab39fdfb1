"""Settings that choose layers are heeded or refused, of every method that has them."""

import pytest

from fintune.config.load import load
from fintune.errors import ConfigError
from fintune.methods import METHODS
from fintune.methods.targets import TargetOptions

CHOOSING = [name for name, method in METHODS.items() if issubclass(method.options, TargetOptions)]


@pytest.mark.parametrize("name", CHOOSING)
def test_last_blocks_and_names_do_not_go_together(name: str) -> None:
    with pytest.raises(ConfigError, match=r"layers.* goes with target_modules: auto"):
        load({"method": {"name": name, "layers": "top:1", "target_modules": ["q_proj"]}})


@pytest.mark.parametrize("name", CHOOSING)
def test_numbers_and_names_are_heeded_by_lora_alone(name: str) -> None:
    given = {"method": {"name": name, "layers": [0], "target_modules": ["q_proj"]}}
    if hasattr(METHODS[name].options(), "layers_to_transform"):
        assert load(given).method.numbers == [0]  # type: ignore[attr-defined]
        return
    with pytest.raises(ConfigError, match="layers goes with target_modules: auto"):
        load(given)
