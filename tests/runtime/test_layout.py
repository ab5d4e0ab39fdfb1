"""Every table of the product at 60, 80 and 120 columns: nothing is cut, nothing is wider, a text stands in lines of several words."""

import ast
import inspect
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from fintune.cli.screen import Screen
from fintune.comparison import table as comparison_table
from fintune.compression import table as compression_table
from fintune.data import table as data_table
from fintune.data.quality.findings import Finding
from fintune.data.quality.label_errors import Suspicion
from fintune.data.quality.overlap import Overlap
from fintune.evaluation import table as evaluation_table
from fintune.evaluation.confidence import Accepted, ConfidenceCheck
from fintune.evaluation.drift import EFFECTS, Drift, DriftTest
from fintune.export import table as export_table
from fintune.export.export import Exported, Refused
from fintune.inference import table as inference_table
from fintune.inference.agreement import Verification
from fintune.inference.calibration import table as calibration_table
from fintune.inference.files import AnswerColumns
from fintune.records import Score, Scores
from fintune.runtime import table as runtime_table
from fintune.runtime.layout import Table, Text, folded
from fintune.tasks.lookup import interval
from fintune.training import table as training_table
from tests.label_scores import HEADLINE, classification_scores
from tests.made_records import prediction

MODULES = (
    comparison_table,
    compression_table,
    data_table,
    evaluation_table,
    export_table,
    calibration_table,
    inference_table,
    runtime_table,
    training_table,
)
FILE = "exports/2024-11/customer_complaints_about_consumer_lending_products_and_mortgages_final_v3.csv"
TEXT = "Operating profit of the lending arm fell to EUR 12.4 mn from EUR 17.9 mn, while the outlook was raised again after strong demand."
LABELS = {
    "short": ["negative", "neutral", "positive"],
    "long": [
        f"complaint about {what}" for what in ("mortgage servicing and escrow", "student loans", "debt collection")
    ],
    "chinese": ["信用卡及预付卡业务投诉", "抵押贷款与住房金融相关投诉", "债务催收"],
    "many": [f"topic-{i}-of-the-filing" for i in range(12)],
}


class Case(NamedTuple):
    """Tables, and what must stand in them."""

    tables: Any
    whole: Sequence[str]
    prose: bool = False


def scores_of(labels: Sequence[str]) -> Scores:
    gold = np.arange(60) % len(labels)
    given = np.where(np.arange(60) % 5 == 0, (gold + 1) % len(labels), gold)
    return classification_scores(gold, given, list(labels), resamples=20)


def scores(labels: Sequence[str]) -> Case:
    found = {f"{name}, test": scores_of(labels) for name in ("lora", *labels)}
    told = [interval(metric, one[metric]) for one in found.values() for metric in HEADLINE]
    return Case(evaluation_table.scores_table(found, HEADLINE, confidence=0.95), [*found, *told])


def classes(labels: Sequence[str]) -> Case:
    found = scores_of(labels)
    told = [interval(m, found[f"{m}/{label}"]) for m in ("precision", "recall", "f1") for label in labels]
    return Case(list(evaluation_table.labels_tables(found))[:1], [*labels, *told])


def confusion(labels: Sequence[str]) -> Case:
    found = scores_of(labels)
    told = [f"{found[f'confusion/{a}/{b}'].value:.0f}" for a in labels for b in labels]
    return Case(list(evaluation_table.labels_tables(found))[1:], [*labels, *(one for one in told if one != "0")])


def examination(labels: Sequence[str]) -> Case:
    counts = {label: 12_345 + i for i, label in enumerate(labels)}
    findings = [
        Finding("near-duplicates across parts", "severe", 3, TEXT, [f"{FILE}:{line}" for line in (17, 48_122, 48_123)])
    ]
    report = SimpleNamespace(
        rows=36_000, unusable=3, labels=counts, label_map={}, dropped={"empty": 3}, exact_duplicates=5, conflicting_texts=2,
        near_duplicate_rows=7, near_duplicate_clusters=3, median_words=21.0, longest_words=1_234, tokens={}, parts={"train": counts},
        sizes={"train": 12_345}, values={},
        median_characters=None, twins_in_train={}, dates={}, label_samples={label: [TEXT, TEXT] for label in labels}, findings=findings,
    )  # fmt: skip
    doubts = [
        Suspicion(id=f"{FILE}:{48_100 + i}", label=label, rather=labels[-1], probability=0.87, text=TEXT)
        for i, label in enumerate(labels[:4])
    ]
    cross = {a: {b: 1_000 + i * j for j, b in enumerate(labels)} for i, a in enumerate(labels)}
    against = Overlap(other=FILE, shared=3, distinct=9, twins=4, inside=False, labels=cross, findings=[], rows=12)
    found: Any = SimpleNamespace(
        scant=[],
        report=report, sources=[{"name": FILE, "format": "csv", "rows": 36_000}], fingerprint="9f2c41d79f2c41d7",
        suspicious=doubts, against=against, pii={"email": 2},
    )  # fmt: skip
    whole = [*labels, "severe", "0.87", ":17", ":48122", ":48123", ":48100", "9f2c41d79f2c41d7"]
    whole += [f"{count:,}" for row in cross.values() for count in row.values()]
    return Case(list(data_table.examination(found)), whole, prose=True)


def predictions(labels: Sequence[str]) -> Case:
    made = [
        prediction(str(i), TEXT, label, label, dict.fromkeys(labels, (i + 1) / 16)) for i, label in enumerate(labels)
    ]
    return Case(
        inference_table.predictions_table(made, AnswerColumns(noun="label", choices=labels, confidence=True)),
        [*labels, *(f"{(i + 1) / 16:.3f}" for i in range(len(labels)))],
        prose=True,
    )


def estimate(_: Sequence[str]) -> Case:
    found: Any = SimpleNamespace(
        measured=10, steps=1_234, step_seconds=1.2, memory={"base model, with what it needs": 10**9}, fits=False, peak=10**9,
        machine=10**8, times={"judging after every epoch": 3_600.0}, seconds=3_600.0,
    )  # fmt: skip
    return Case(training_table.estimate_table(found), ["1.00 GB of 0.1: too much", "judging after every epoch"])


def trimmed(_: Sequence[str]) -> Case:
    found: Any = SimpleNamespace(
        folder=f"models/{FILE}", tokens=(262_144, 12_345), parameters=(269_996_672, 112_345_678), bytes=10**9,
        verified={"logits": 1e-6, "probabilities": 2e-7},
    )  # fmt: skip
    return Case(
        compression_table.trimmed(found), ["262,144", "112,345,678", "largest difference of probabilities", "2e-07"]
    )


def listing(labels: Sequence[str]) -> Case:
    rows = [
        {"name": label, "summary": TEXT, "model.base": FILE, "size": "1.1 GB", "license": "Gemma Terms of Use"}
        for label in labels
    ]
    return Case(runtime_table.listing(rows), ["1.1 GB"], prose=True)


def _row(name: str, i: int) -> dict[str, Any]:
    score = {"value": 0.9, "low": 0.8 + i / 1000, "high": 0.95, "n": 60}
    return {
        "name": name, "kind": "method", "group": 1 + i // 2, "scores": dict.fromkeys(("macro_f1", "accuracy", "mcc"), score),
        "clean": dict.fromkeys(("macro_f1", "accuracy", "mcc"), score | {"value": 0.85, "n": 43}),
        "seeds": 3, "trainable_parameters": 1_898_496, "adapter_mb": 7.61, "train_seconds": 421.0, "peak_memory_bytes": 3 * 10**9,
        "seconds_per_1000": 12.5, "forgetting": {"before": 21.5, "after": 23.4},
    }  # fmt: skip


def comparison(labels: Sequence[str]) -> Case:
    rows = [_row(label, i) for i, label in enumerate(labels)]
    curve = [
        {"name": label, "size": size, "scores": _row(label, size)["scores"]}
        for label in labels
        for size in (50, 200, 1_000)
    ]
    content = {
        "part": "validation", "n": 452, "confidence": 0.95, "rows": rows, "learning_curve": curve, "failed": [], "pareto": list(labels),
        "recommendation": TEXT, "leaks": 17, "headline": ["macro_f1", "accuracy", "mcc"],
    }  # fmt: skip
    told = [f"90.0 [{80 + i / 10:.1f}, 95.0]" for i in range(len(labels))]
    return Case(
        list(comparison_table.comparison_tables(content)),
        [*labels, *told, "1,898,496", "7.61 MB", "21.5 to 23.4", "12.5 s", "43 new texts", "85.0 ["],
    )


def exports(labels: Sequence[str]) -> Case:
    facts: Any = {
        "format": "", "dtype": "float32", "megabytes": 1_072.4, "load_seconds": 3.2, "texts_per_second": 21.4, "texts": 226,
        "largest_difference": 3e-6, "changed": 1, "metric": "accuracy", "score": 0.97, "score_of_run": 0.98,
    }  # fmt: skip
    rounded = facts | {"beside_the_run": {"texts": 226, "changed": 3, "largest_difference": 0.02}}
    records = [(rounded if i else facts) | {"format": name} for i, name in enumerate(labels)]
    exported = [Exported(Path(), record, Verification.of(record)) for record in records]
    return Case(
        export_table.exports([*exported, Refused("gguf", "q8_0", "no")]),
        ["1,072.4", "225 of 226", "97.0 (-1.0)", "(as scored, on a rounded base: 223)", "refused"],
    )


def confidence(_: Sequence[str]) -> Case:
    figures = {
        name: Score(value=0.1 + i / 1000, low=0.05, high=0.9, n=60)
        for i, name in enumerate(calibration_table.CONFIDENCE_TITLES)
    }
    passed = Accepted(max_error=0.01, accepted=12_345, errors=78, texts=45_678)
    check = ConfidenceCheck(raw=figures, calibrated=figures, raw_floor=0.0123, floor=0.0234, accepted=[passed])
    told = [f"{score.value:.3f} [0.050, 0.900]" for score in figures.values()]
    return Case(list(evaluation_table.confidence_table(check)), [*told, "0.012", "0.023", "12,345", "45,678"])


def gained(_: Sequence[str]) -> Case:
    figures = {
        name: Score(value=0.1 + i / 1000, low=-0.05, high=0.9, n=60)
        for i, name in enumerate(calibration_table.CONFIDENCE_TITLES)
    }
    again: Any = SimpleNamespace(left=12_345, before=figures, after=figures, gains=figures)
    told = [f"{score.value:.3f} [-0.050, 0.900]" for score in figures.values()]
    return Case(evaluation_table.gains_table(again), ["12,345", *told])


def drifted(_: Sequence[str]) -> Case:
    tests = [DriftTest(name=name, effect=0.1 + i / 1000, p=0.5) for i, name in enumerate(EFFECTS)]
    result = Drift(reference=12_345, new=678, level=0.05, tests=tests)
    return Case(evaluation_table.drift_table(result), ["12,345", *EFFECTS, *(f"{one.effect:.3f}" for one in tests)])


TABLES: dict[str, tuple[Callable[[Sequence[str]], Case], set[str]]] = {
    "scores": (scores, {"scores_table"}),
    "classes": (classes, {"labels_tables"}),
    "confusion": (confusion, set()),
    "examination": (examination, {"_facts", "_findings", "_label_samples", "_suspicious", "_cross"}),
    "predictions": (predictions, {"predictions_table"}),
    "estimate": (estimate, {"estimate_table"}),
    "trimmed": (trimmed, {"trimmed"}),
    "listing": (listing, {"listing"}),
    "comparison": (comparison, {"scores", "costs", "learning_curve"}),
    "exports": (exports, {"exports"}),
    "confidence": (confidence, {"errors_table"}),
    "gains": (gained, {"gains_table"}),
    "drift": (drifted, {"drift_table"}),
}
"""case, and the functions whose tables it shows"""


def makers(module: ModuleType) -> set[str]:
    """Functions of a module that make a table."""
    functions = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef)]
    return {
        function.name
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Table"
    }


def test_every_table_of_the_product_is_among_them() -> None:
    made = [name for module in MODULES for name in makers(module)]
    assert sorted(made) == sorted(name for _, names in TABLES.values() for name in names)


def drawn(parts: Any, width: int) -> list[str]:
    screen = io.StringIO()
    Screen(file=screen, width=width).print(*(parts if isinstance(parts, list) else [parts]))
    return screen.getvalue().splitlines()


def stands_in(lines: Sequence[str], one: str) -> bool:
    """Whether a value is in a line, or a figure in one and its interval in another."""
    parts = [one] if "[" not in one else one.split(" ", 1)
    return any(one in line for line in lines) or all(any(part in line for line in lines) for part in parts)


def bare(lines: Iterable[str]) -> str:
    return re.sub(r"[\s─]", "", "".join(lines))


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_cut_and_nothing_is_wider(name: str, labels: str, width: int) -> None:
    case = TABLES[name][0](LABELS[labels])
    lines = drawn(case.tables, width)
    assert [line for line in lines if cell_len(line) > width] == []
    together = bare(lines)
    assert [one for one in case.whole if not stands_in(lines, one) and bare([one]) not in together] == []
    if case.prose:
        assert any("Operating profit of" in line for line in lines), "a text stands in lines of several words"


def test_a_table_with_room_for_it_looks_as_ever() -> None:
    lines = [line.rstrip() for line in drawn(scores(LABELS["short"]).tables, 80)]
    assert lines[2:5] == [
        " model, part              macro-F1           accuracy                MCC",
        f" {'─' * 72}",
        " lora, test      80.0 [71.9, 87.4]  80.0 [72.5, 87.5]  0.70 [0.58, 0.81]",
    ]


def test_intervals_go_below_their_figures_before_rows_become_blocks() -> None:
    lines = [line.rstrip() for line in drawn(scores(LABELS["short"]).tables, 64)]
    assert lines[2:6] == [
        " model, part         macro-F1      accuracy           MCC",
        f" {'─' * 57}",
        " lora, test              80.0          80.0          0.70",
        "                 [71.9, 87.4]  [72.5, 87.5]  [0.58, 0.81]",
    ]
    assert not any("─" in line for line in drawn(scores(LABELS["short"]).tables, 44))


def test_names_of_files_lose_their_middle_and_no_line() -> None:
    assert folded("news.csv:17", 20) == "news.csv:17"
    for name in (FILE, "数据/二零二四年客户投诉数据最终版.csv"):
        short = folded(f"{name}:48123", 24)
        assert (cell_len(short) <= 24, short.endswith(".csv:48123"), short.startswith(name[:2]), "…" in short) == (
            True,
        ) * 4


def test_of_two_places_side_by_side_neither_loses_its_line() -> None:
    one, other = folded(f"{FILE}:17 ~ {FILE}:48123", 24).split("\n")
    assert (one.endswith(".csv:17"), other.startswith("~ "), other.endswith(".csv:48123")) == (True, True, True)
    assert max(map(cell_len, (one, other))) <= 24


def test_what_a_terminal_would_obey_is_shown_and_counted_in_the_width() -> None:
    table = Table("a\x1b[2J")
    table.add_column(Text("\x07head"), no_wrap=True)
    table.add_row(Text("\x08\x1b[1mup", "bold"))
    table.add_row("[red]down")
    lines = drawn(table, 80)
    assert [line.strip() for line in lines] == [
        r"a\x1b[2J",
        "",
        r"\x07head",
        "─" * 14,
        r"\x08\x1b[1mup",
        "[red]down",
        "",
    ]
    assert isinstance(Screen(), Console)
