"""What `--set` changes, and what it refuses."""

from pathlib import Path

import pytest

from fintune.config.load import load
from fintune.errors import ConfigError


def test_overrides_reach_every_depth(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("train: {epochs: 2, batch_size: 4}\n")
    config = load(path, ["train.epochs=7", "data.split.seed=3", "method.target_modules=[q_proj, v_proj]", "name=other"])
    assert (config.train.epochs, config.train.batch_size, config.data.split.seed, config.name) == (7, 4, 3, "other")
    assert config.method.target_modules == ["q_proj", "v_proj"]  # type: ignore[attr-defined]


def test_the_last_override_wins_and_the_source_stays_as_it_was() -> None:
    raw = {"train": {"epochs": 2}}
    assert load(raw, ["train.epochs=7", "train.epochs=8"]).train.epochs == 8
    assert raw == {"train": {"epochs": 2}}


@pytest.mark.parametrize("prompt", ["{text}{answer}", "{text} A: {answer}", "{text}: {answer}", "T: {text}\n{answer}"])
def test_an_override_that_is_no_yaml_is_text(prompt: str) -> None:
    assert load({}, [f"task.prompt={prompt}"]).task.prompt == prompt  # type: ignore[attr-defined]


def test_an_override_is_checked_like_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, ["train.epoch=3", "data.split.trian=0.1", "train.batch_size="])
    assert sorted(caught.value.problems) == [
        "data.split.trian: unknown setting. Did you mean 'train'?",
        "train.batch_size: Input should be 'auto' or a valid integer (found None)",
        "train.epoch: unknown setting. Did you mean 'epochs'?",
    ]


@pytest.mark.parametrize("override", ["train.epochs", "=3", "", " =3"])
def test_a_malformed_override_is_told(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, [override])
    assert caught.value.problems == [f"--set {override}: not of the form section.key=value"]
    assert caught.value.hint == "Example: --set train.epochs=3"
