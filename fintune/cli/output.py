"""What the commands say on the two streams: results on standard output, progress and errors on standard error.

A command does its work inside `with working():`, and then shows what came of it: `show_scores(run)`.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from fintune.cli import progress
from fintune.cli.screen import Screen
from fintune.errors import ConfigError, DataError, FintuneError, UsageError
from fintune.runtime.layout import Text
from fintune.runtime.printable import json_text, one_line
from fintune.runtime.quiet import quiet
from fintune.runtime.shell import typed
from fintune.runtime.table import listing

if TYPE_CHECKING:
    from fintune.comparison.compare import Comparison
    from fintune.comparison.search import Search
    from fintune.inference.predict_file import Bulk
    from fintune.records import Claims, Scores
    from fintune.runs.run import Run

out, err = Screen(), Screen(stderr=True)
_debug = False


def set_debug(value: bool) -> None:
    """Once asked for, tracebacks are shown and the libraries underneath may speak."""
    global _debug  # noqa: PLW0603
    _debug = _debug or value


def debugging() -> bool:
    """Whether --debug was given."""
    return _debug


def say(error: FintuneError) -> None:
    """Print the two lines of an error: what and where, then what to type; a line for each problem of a config."""
    problems = error.problems if isinstance(error, ConfigError) else [error.message]
    err.print(
        Text("\n".join(["error: " + one_line(problems[0]), *map(one_line, problems[1:])]), "bold red"), soft_wrap=True
    )
    if error.hint:
        err.print(Text(f"next:  {one_line(error.hint)}"), soft_wrap=True)


@contextmanager
def working(*, models: bool = True) -> Iterator[None]:
    """Show progress; keep the libraries underneath quiet unless --debug, those of models only where one is loaded: half a second."""
    with progress.progress_bars(err), _outspoken() if debugging() else _silenced(models):
        yield


@contextmanager
def _silenced(models: bool) -> Iterator[None]:
    with quiet() if models else nullcontext(), warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        yield


@contextmanager
def _outspoken() -> Iterator[None]:
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_info()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)


def say_bulk(done: "Bulk") -> None:
    """Print what came of labeling a file; raises DataError when a part of it, or all, was not to be read."""
    err.print(Text(f"predictions written to {done.output}: {done.labeled:,}"), soft_wrap=True)
    if done.errors is not None:
        err.print(Text(f"records without a label, see {done.errors}: {done.unreadable:,}"), soft_wrap=True)
    if done.rest_unread:
        raise DataError(
            "the file is damaged, and its rest could not be read", hint=f"See the last lines of {done.errors}."
        )
    if not done.labeled:
        raise DataError("no record could be labeled", hint=f"See {done.errors}.")


def show_scores(run: "Run") -> None:
    """Print a run's scores beside its baselines'."""
    from fintune.evaluation.table import scores_table
    from fintune.runs.model_card import named_scores

    config, scores, claims = run.config(), run.scores(), run.claims()
    rows = named_scores(config.method.name, scores, run.baselines(), claims)
    out.print(scores_table(rows, config.build_task().headline, confidence=config.evaluation.confidence))
    show_labels(list(scores.values())[-1])
    show_worth(claims)


def show_worth(claims: "Claims") -> None:
    """Print what scores are worth, a line a statement."""
    from fintune.evaluation.table import worth

    for line in worth(claims):
        out.sentence(line)


def show_labels(scores: "Scores") -> None:
    """Print scores label by label, what was taken for what, and the losses."""
    from fintune.evaluation.table import labels_tables, losses

    out.print(*labels_tables(scores), losses(scores))


def split_list(text: str | None) -> list[str] | None:
    """Return the names in `a,b`; None where there is no text."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def split_numbers(flag: str, text: str | None) -> list[int] | None:
    """Return the numbers in `50,200`; None where there is no text. Raises UsageError."""
    try:
        return None if text is None else [int(number) for number in split_list(text) or []]
    except ValueError:
        raise UsageError(f"{flag} {text}: not whole numbers", hint=f"Example: {flag} 50,200,1000") from None


def show_comparison(done: "Comparison", as_json: bool) -> None:
    """Print a comparison's tables and its sentence, or comparison.json."""
    if as_json:
        print_json(done.content)
        return
    from fintune.comparison.table import comparison_tables

    for part in comparison_tables(done.content):
        out.print(part)
    out.print(Text(f"comparison: {done.folder / 'comparison.json'}"), soft_wrap=True)


def show_search(search: "Search", as_json: bool) -> None:
    """Print the best settings of each row as flags, and the config that holds them."""
    if as_json:
        print_json(search.record())
        return
    from fintune.tasks.lookup import metric_of

    for best in search.best:
        shown = f"{metric_of(best.metric).title} {metric_of(best.metric).written(best.score)}"
        line = f"{best.label}: {shown} on validation, the best of {best.trials} trials: {best.flags}"
        out.print(Text(line), soft_wrap=True)
    out.print(Text(f"next: fintune compare {typed(search.config)}"), soft_wrap=True)


def show_list(rows: list[dict[str, str]], as_json: bool = False) -> None:
    """Print rows as a table, or as JSON for programs."""
    if as_json:
        print_json(rows)
    else:
        out.print(listing(rows))


def print_json(content: object) -> None:
    """Print JSON, for programs."""
    sys.stdout.write(json_text(content, indent=1) + "\n")
