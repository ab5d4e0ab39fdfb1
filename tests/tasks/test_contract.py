"""A task that does not keep its promises is found on the first example, in two lines, before anything is loaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fintune.data.load import parsed_row
from fintune.errors import DataError
from fintune.records import Example
from fintune.tasks.classification import Classification, ClassificationOptions
from fintune.tasks.contract import guarded, need_contract
from tests.conftest import Command
from tests.made_records import row

LABELED = Example("f:1", {"text": "x"}, "up")


def broken(name: str, value: Callable[..., Any]) -> Classification:
    task = Classification(ClassificationOptions(labels=["up", "down"]))
    setattr(task, name, value)
    return task


def raising(*_: Any) -> Any:
    raise KeyError("title")


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("prompt", lambda example: example.text, "prompt returned str, not Prompt"),
        ("prompt", raising, "prompt: KeyError: 'title'"),
        ("target", lambda example: 1, "target returned int, not str"),
        ("target", lambda example: " sideways", "target returned ' sideways', which is none of its choices"),
        ("choices", lambda example=None: ["up", "down"], "choices returned list, not names and answers, or None"),
        ("choices", lambda example=None: {"up": " up"}, "choices returned dict, not names and answers, or None"),
        ("decide", lambda shares, example: None, "decide returned NoneType, not an answer"),
        ("decide", lambda shares, example: float("nan"), "decide returned float, not an answer"),
        ("score", lambda predictions, weights: {}, "score returned dict, not an array (draws,) for each of accuracy, macro_f1"),
        ("score", lambda predictions, weights: {"accuracy": 1.0}, "score returned dict, not an array"),
        ("headline", ("mine",), "names the metric 'mine', and its TaskEntry has no Metric of that name"),
        ("headline", "accuracy", "headline is not a list of names"),
        ("tested", (), "tested is not a list of names"),
        ("kind", "poems", "kind is not one of labels, numbers, lists, texts"),
    ],
)  # fmt: skip
def test_what_a_method_returns_or_raises_is_named(name: str, value: Any, what: str) -> None:
    with pytest.raises(DataError) as refused:
        need_contract(guarded(broken(name, value)), [LABELED])
    assert refused.value.message.removeprefix("f:1: ").startswith(f"task classification: {what}")
    assert "docs/extend.md" in refused.value.hint


def test_a_written_answer_may_not_be_readable_but_is_of_a_kind() -> None:
    written = broken("choices", lambda example=None: None)
    need_contract(guarded(written), [LABELED])
    written.parse_answer = lambda text, example: 3  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(DataError, match="parse_answer returned int, not an answer or None"):
        need_contract(guarded(written), [LABELED])


@pytest.mark.usefixtures("registries_kept")
@pytest.mark.parametrize(
    ("parse", "what"),
    [
        ("return Example(row.id, row.fields, row.target)", "parse returned Example, not a list of Example and Fault"),
        ("return None", "parse returned NoneType, not a list of Example and Fault"),
        ("return [row]", "parse returned list, not a list of Example and Fault"),
        ("return [Example(row.id, row.fields, 3)]", "parse returned a target that is int, and its kind is texts"),
        (
            "return [Example(row.id, row.fields, None)]",
            "parse returned a target that is NoneType, and its kind is texts",
        ),
        ("return []", "holds nothing to answer"),
        ("return 1 / 0", "task company: parse: ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_of_ones_own_that_reads_wrongly_is_refused_in_two_lines(
    parse: str, what: str, tiny_config: dict[str, Any], tmp_path: Path, fin: Command
) -> None:
    own = (Path(__file__).resolve().parents[2] / "examples" / "my_task.py").read_text("utf-8")
    start, stop = own.index("        if not row.target:"), own.index("    def target(")
    (tmp_path / "mine.py").write_text(f"{own[:start]}        {parse}\n\n{own[stop:]}")
    config = tmp_path / "run.yaml"
    config.write_text(json.dumps(tiny_config | {"task": {"name": "company"}}))
    refused = fin("train", config, "--code", tmp_path / "mine.py")
    assert (refused.code, len(refused.err.splitlines()), what in refused.err.splitlines()[0]) == (2, 2, True)


def test_a_target_that_is_no_choice_is_named_by_its_row_wherever_it_stands() -> None:
    task = Classification(ClassificationOptions(labels=["up", "down"]))
    task.parse = lambda row: [Example(row.id, row.fields, str(row.target))]  # type: ignore[method-assign]
    task.target = lambda example: f" {example.target}"  # type: ignore[method-assign]
    assert [one.stratum for one in parsed_row(task, row("f:1", "x", "up")) if isinstance(one, Example)] == ["up"]
    with pytest.raises(
        DataError, match=r"f:2: task classification: target returned ' sideways', which is none of its choices"
    ):
        need_contract(guarded(task), [LABELED, Example("f:2", {"text": "x"}, "sideways")])
