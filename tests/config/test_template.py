"""The written config is the defaults, says what every setting means, and takes any file name."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from fintune.config.load import REGISTRIES, SECTIONS, load
from fintune.config.run_config import RunConfig
from fintune.config.template import template
from fintune.errors import ConfigError
from fintune.methods import METHODS
from fintune.tasks import TASKS

LINES = template().splitlines()
WRITTEN = {**SECTIONS, **{name: registry[default].options for name, (default, registry) in REGISTRIES.items()}}


def loaded(folder: Path, text: str) -> RunConfig:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def test_the_template_is_the_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, template()) == load({})
    assert "epochs: auto" in template(), "the defaults are written, not left out"


def test_it_opens_with_the_commands_for_its_own_path() -> None:
    assert template("my.yaml").splitlines()[:2] == [
        "# A FinTune run. Every setting stands here with its default; delete what you leave as it is.",
        "# Check it:  fintune check my.yaml        Run it:  fintune train my.yaml",
    ]
    assert LINES[1].endswith("fintune train run.yaml")


def test_sections_stand_in_the_order_of_the_config() -> None:
    tops = [line.split(":")[0] for line in LINES if line and line[0] not in "# "]
    assert tops == list(RunConfig.model_fields)


def settings(section: type[BaseModel], indent: str = "  ") -> dict[str, str | None]:
    """The start of a setting's line and the description that ends it."""
    found: dict[str, str | None] = {}
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= {f"{indent}{name}:": None} | settings(inner, indent + "  ")
        else:
            found[f"{indent}{name}: "] = field.description
    return found


@pytest.mark.parametrize("name", WRITTEN)
def test_every_setting_has_its_line_and_its_meaning(name: str) -> None:
    start = LINES.index(f"{name}:") + 1
    length = next((i for i, line in enumerate(LINES[start:]) if not line), len(LINES) - start)
    expected = settings(WRITTEN[name])
    assert length == len(expected)
    for line, (begin, description) in zip(LINES[start : start + length], expected.items(), strict=True):
        assert line.startswith(begin)
        assert line.endswith(f"  # {description}" if description else "")


@pytest.mark.parametrize(
    "section", [*SECTIONS.values(), *(t.options for t in TASKS.values()), *(m.options for m in METHODS.values())]
)
def test_every_setting_says_what_it_means(section: type[BaseModel]) -> None:
    for name, field in section.model_fields.items():
        assert field.description or name in ("name", "split"), f"{section.__name__}.{name}"


@pytest.mark.parametrize(
    "data",
    ["news.csv", "builtin:headlines", "C:\\news: 1.csv", "a # b.csv", "涨 跌.jsonl", '"q".csv', "'", "[1].csv", "{x}"],
)
def test_any_data_file_is_filled_in(tmp_path: Path, data: str) -> None:
    config = loaded(tmp_path, template(written={"data": {"path": data}}))
    assert config.data.path == data
    assert config == load({"data": {"path": data}})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"train": {"epochs": -1}}, "train.epochs: must be auto, or 1 to 1,000 (found -1)"),
        ({"task": {"name": "foo"}}, "task.name: unknown task 'foo'."),
        ({"method": {"name": "foo"}}, "method.name: unknown method 'foo'."),
    ],
)
def test_what_no_config_may_hold_is_refused(written: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        template(written=written)
    assert said in refused.value.problems[0]
