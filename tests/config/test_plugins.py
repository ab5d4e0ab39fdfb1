"""A method in a user's own file is trained, saved and used like any other, and only when the file is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from fintune.comparison.planned_runs import comparison_config, planned_runs
from fintune.config.load import load
from fintune.config.plugins import files, load_code
from fintune.config.prepare import prepare
from fintune.errors import ConfigError, UsageError
from fintune.methods import METHODS
from fintune.runs.run import Run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "my_method.py"


pytestmark = pytest.mark.usefixtures("registries_kept")


def test_the_example_is_trained_saved_and_used(tiny_config: dict[str, Any], tmp_path: Path, fin: Any) -> None:
    tiny_config["method"] = {"name": "scaled-blocks"}
    tiny_config["train"] |= {"epochs": 1, "learning_rate": 0.1}
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(tiny_config))
    assert fin("train", config, "--code", EXAMPLE).code == 0
    run = Run(tmp_path / "runs" / "tiny")
    losses = [line["validation_loss"] for line in run.log() if "validation_loss" in line]
    assert len(losses) == 1
    assert run.environment()["trainable_parameters"] == 2 * 32
    assert sorted(p.name for p in run.adapter.iterdir()) == ["fintune_adapter.json", "fintune_adapter.safetensors"]
    stored = [json.loads(line) for line in (run.folder / "predictions.test.jsonl").read_text().splitlines()]
    asked = fin("predict", run.folder, stored[0]["fields"]["text"], "--json", "--code", EXAMPLE)
    assert json.loads(asked.out)["probabilities"] == pytest.approx(stored[0]["probabilities"], abs=1e-5)


def test_it_is_compared_like_any_other(tiny_config: dict[str, Any], tmp_path: Path, fin: Any) -> None:
    tiny_config["train"] |= {"epochs": 1}
    tiny_config["evaluation"] |= {"baselines": ["majority"], "forgetting": False}
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(tiny_config))
    done = fin("compare", config, "--methods", "scaled-blocks", "--seeds", "1", "--code", EXAMPLE, "--json")
    row = next(row for row in json.loads(done.out)["rows"] if row["name"] == "scaled-blocks")
    assert row["trainable_parameters"] == 2 * 32


def test_a_run_is_made_anew_when_the_file_has_changed(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    file, names = tmp_path / "mine.py", []
    for text in (EXAMPLE.read_text(), EXAMPLE.read_text() + "# mended\n"):
        file.write_text(text)
        load_code(file)
        prepared = prepare(comparison_config(tiny_config, methods=["scaled-blocks", "lora"], seeds=1))
        names.append([one.config.name for one in planned_runs(prepared, {}, tmp_path)])
    assert [a == b for a, b in zip(*names, strict=True)] == [False, True]


def test_a_file_takes_no_librarys_place_and_may_have_dots_in_its_name(tmp_path: Path) -> None:
    for name in ("colorsys.py", "my.method.py"):
        (tmp_path / name).write_text(EXAMPLE.read_text().replace("scaled-blocks", name))
        assert load_code(tmp_path / name) == [name]
    import colorsys

    assert hasattr(colorsys, "rgb_to_hsv")


def test_one_file_may_build_on_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "first_code.py").write_text(EXAMPLE.read_text())
    (tmp_path / "second_code.py").write_text(
        "from dataclasses import replace\nfrom first_code import *\nimport first_code\n"
        "OTHER = replace(next(v for v in vars(first_code).values() if getattr(v, 'name', '') == 'scaled-blocks'), name='other')\n"
    )
    assert load_code(tmp_path / "first_code.py") == ["scaled-blocks"]
    assert load_code(tmp_path / "second_code.py") == ["other"]


def test_files_are_named_in_the_order_in_which_they_were_read(tmp_path: Path) -> None:
    (tmp_path / "first_task.py").write_text(
        "from dataclasses import replace\nfrom fintune.tasks import TASKS\nMINE = replace(TASKS['classification'], name='mine')\n"
    )
    (tmp_path / "then_method.py").write_text(
        "from dataclasses import replace\nimport first_task\nfrom fintune.methods import METHODS\n"
        "M = replace(METHODS['lora'], name='my-lora')\n"
    )
    for name in ("first_task.py", "then_method.py"):
        load_code(tmp_path / name)
    assert [Path(file).name for file in files()][-2:] == ["first_task.py", "then_method.py"]


def test_without_the_file_nothing_of_it_is_run(tiny_config: dict[str, Any], tmp_path: Path, fin: Any) -> None:
    tiny_config["method"] = {"name": "scaled-blocks"}
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(tiny_config))
    found = fin("train", config)
    assert found.code == 2
    assert "unknown method 'scaled-blocks'" in found.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "makes no method and no task"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("from fintune.methods import METHODS\nLORA = METHODS['lora']", "makes no method and no task"),
        (
            "from dataclasses import replace\nfrom fintune.methods.lora.lora import LORA\nMINE = replace(LORA, summary='mine')",
            "there is a 'lora' already",
        ),
    ],
)
def test_a_file_that_does_not_do_is_refused_in_a_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_code(file)


def test_a_missing_file_is_named(tmp_path: Path, fin: Any) -> None:
    found = fin("methods", "--code", tmp_path / "none.py")
    assert found.code == 2
    assert "none.py: no such Python file" in found.err


def test_loading_twice_is_no_clash() -> None:
    assert load_code(EXAMPLE) == load_code(EXAMPLE) == ["scaled-blocks"]
    with pytest.raises(ConfigError, match=r"method\.start"):
        load({"method": {"name": "scaled-blocks", "start": "high"}})


def test_what_a_file_imports_to_build_on_is_no_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "built.py"
    file.write_text(
        "from dataclasses import replace\nfrom fintune.methods.lora.lora import LORA\n"
        "MINE = replace(LORA, name='built', summary='mine')\n"
    )
    known = dict(METHODS)
    assert load_code(file) == ["built"]
    METHODS.pop("built")
    assert known == METHODS


@pytest.mark.parametrize(
    "line", ["raise SystemExit(0)", "raise BaseException('x')", "raise GeneratorExit", "class E(BaseException): pass\nraise E"]
)  # fmt: skip
def test_a_file_that_ends_the_process_is_refused(line: str, tmp_path: Path, fin: Any) -> None:
    place = tmp_path / "mine.py"
    place.write_text(line)
    ended = fin("methods", "--code", place)
    assert ended.code == 2
    assert f"--code {place}: " in ended.err
    assert "Run it with python to see where." in ended.err
