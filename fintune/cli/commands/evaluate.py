"""Commands for a run's scores and its page: evaluate, report."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintune.cli.hints import in_options_of
from fintune.cli.options import (
    AsJson,
    Base,
    Code,
    Debug,
    Encoding,
    EngineName,
    FormatName,
    Settings,
    TaskOption,
    TrainedSource,
)
from fintune.cli.output import out, print_json, show_labels, show_worth, working
from fintune.errors import RunError, UsageError
from fintune.runtime.layout import Text

if TYPE_CHECKING:
    from fintune.evaluation.confidence import ConfidenceCheck
    from fintune.evaluation.evaluate import Evaluation
    from fintune.inference.engines import Engine
    from fintune.inference.open import Trained


def evaluate(
    context: typer.Context,
    run: TrainedSource,
    split: Annotated[
        str | None, typer.Option(help="Part of the run's own data: train, validation or test (left out: test).")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Score another labeled file instead; nothing is stored.")] = None,
    name: FormatName = None,
    encoding: Encoding = None,
    engine: EngineName = "torch",
    base: Base = None,
    task: TaskOption = None,
    settings: Settings = None,
    rescore: Annotated[
        bool,
        typer.Option(
            "--rescore",
            help="Score all of a run's parts as adapter, settings and base model are now, and record these.",
        ),
    ] = False,
    as_json: AsJson = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Score a run on one of its parts or on a labeled file, an export or an adapter on a file; another engine's scores are not stored."""
    from fintune.cli.another_file import opened_to_read
    from fintune.evaluation.score import score_anew, score_file, score_part
    from fintune.inference.open import kind_in_words
    from fintune.runs.run import Run

    if data is not None and split is not None:
        raise UsageError("--split: is a part of the run's own data, and --data another's", hint="Give one of them.")
    split = split or "test"
    opened, told = opened_to_read(run, data, settings, base=base, task=task)
    if rescore and (data is not None or engine != "torch" or not isinstance(opened, Run)):
        raise UsageError("--rescore: is of a run's own data and engine", hint="Leave --data and --engine out.")
    if isinstance(opened, Run) and split not in opened.data()["ids"]:
        raise RunError(f"--split {split}: not a part of this run", hint=f"Parts: {', '.join(opened.data()['ids'])}.")
    with working():
        if data is not None:
            running = _running(opened, engine)
            with in_options_of(context, file="--data"):
                evaluation = score_file(opened, data, name=name, encoding=encoding, running=running, told=told)
        elif isinstance(opened, Run) and rescore:
            parts = score_anew(opened)
            split = split if split in parts else "validation"
            evaluation = parts[split]
        elif isinstance(opened, Run):
            evaluation = score_part(opened, split, running=_running(opened, engine))
        else:
            raise RunError(
                f"{run}: {kind_in_words(opened)}, and no data in it", hint="Score it on a labeled file: --data FILE."
            )
    confidence = _confidence(opened, evaluation) if data is not None or split == "test" else None
    if as_json:
        print_json(_plain(evaluation) | ({} if confidence is None else {"calibration": confidence.record()}))
        return
    from fintune.evaluation.table import confidence_table, scores_table
    from fintune.runs.model_card import named_scores

    part = next(iter(evaluation.claims.verdicts), split)
    rows = named_scores("", {part: evaluation.scores}, {}, evaluation.claims)
    config = opened.config()
    out.print(scores_table(rows, config.build_task().headline, confidence=config.evaluation.confidence))
    show_labels(evaluation.scores)
    if confidence is not None:
        for shown in confidence_table(confidence):
            out.print(shown)
    show_worth(evaluation.claims)


def _confidence(source: "Trained", evaluation: "Evaluation") -> "ConfidenceCheck | None":
    """Return what a calibration is worth on what was scored; None where there is none."""
    from fintune.evaluation.confidence import check_confidence
    from fintune.inference.open import calibration_of

    if (calibration := calibration_of(source)) is None:
        return None
    return check_confidence(calibration, source.config().build_task(), evaluation.predictions)


def _plain(evaluation: "Evaluation") -> dict[str, object]:
    """Return scores by metric, those on rows that are new to the model where others are not, what they are worth, and slices."""
    clean = {name: asdict(score) for scores in evaluation.claims.splits.values() for name, score in scores.items()}
    worth = [asdict(statement) for of in evaluation.claims.verdicts.values() for statement in of]
    scores = {name: asdict(score) for name, score in evaluation.scores.items()}
    slices = [asdict(one) for of in evaluation.claims.slices.values() for one in of]
    return {**scores, "clean": clean or None, "worth": worth, "slices": slices}


def _running(source: "Trained", engine: str) -> "Engine | None":
    """Return the engine to score with; None: the run's own, the adapter as it was saved."""
    from fintune.inference.open import open_engine

    return None if engine == "torch" else open_engine(source, engine)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, or the folder of a comparison.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page; left out: report.html in the folder, or here for several."),
    ] = None,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="Leave the texts of the data out; their ids stay.")
    ] = False,
    code: Code = None,
    debug: Debug = False,
) -> None:
    """Write runs or a comparison as one HTML page that opens anywhere, without a network."""
    from fintune.report import write_report

    with working():
        page = write_report(runs, output, texts=not no_texts)
    out.print(Text(f"wrote {page}\nnext: open it in a browser"), soft_wrap=True)
