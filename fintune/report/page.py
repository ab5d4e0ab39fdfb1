"""Runs and comparisons -> one HTML file that holds its charts, their library and its words, and asks no network for anything.

A policy in the page names the checksums of its own scripts: no other script runs, whatever a text contains.

Example:
    write_report(["runs/lora", "runs/ia3"], Path("report.html"), texts=False)
"""

import base64
import hashlib
import importlib.metadata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from fintune.errors import BrokenEnvironment, RunError
from fintune.report import comparison_view, words
from fintune.report.charts import COMPARISON_CHARTS, RUN_CHARTS
from fintune.report.comparison_view import ComparisonView
from fintune.report.run_files import RunFiles
from fintune.report.run_view import run_view
from fintune.report.sources import Sources, read_sources
from fintune.report.vega import Spec
from fintune.report.words import LANGUAGES, Translator
from fintune.runtime.files import need_place, write_atomically
from fintune.runtime.install import with_extra
from fintune.runtime.printable import printable, printable_content
from fintune.runtime.progress import tell

if TYPE_CHECKING:
    from types import ModuleType

    from jinja2 import Environment

REPORT_FILE = "report.html"
_TEXTS, _FEWEST = 160, 10
"""Rows of a table of texts: so many over all runs, and so few at least; 40 in a report of up to four runs."""
Charts = dict[str, dict[str, Spec]]
"""For each language and place on the page, a Vega-Lite spec."""


def write_report(paths: Sequence[str | Path], output: Path | None = None, *, texts: bool = True) -> Path:
    """Write the report of runs and comparison folders, and return where.

    `output`: left out, it lies in the folder when there is one, else here. Raises RunError where a path is neither.
    """
    library = _charts_library()
    sources = read_sources([Path(path) for path in paths])
    place = output or (Path(paths[0]) / REPORT_FILE if len(paths) == 1 else Path(REPORT_FILE))
    if place.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"{place}: a report is an HTML page", hint="Name a file that ends in .html.")
    need_place(place)
    page = render(sources, library, texts=texts)
    write_atomically(place, page)
    tell("report", f"{len(sources.runs)} runs · {place.stat().st_size / 1e6:.1f} MB")
    return place


def render(sources: Sources, library: "ModuleType", *, texts: bool) -> str:
    """Return the page."""
    most = min(40, max(_FEWEST, _TEXTS // max(len(sources.runs), 1)))
    views = {f"run{i}": run_view(run, key=f"run{i}", texts=texts, most=most) for i, run in enumerate(sources.runs, 1)}
    comparisons = comparison_view.views(sources, list(views))
    scripts = {"library": printable(_code(library)), "page": _asset("page.js")}
    return printable(
        _templates().get_template("report.html").render(
            runs=list(views.values()),
            comparisons=comparisons,
            texts=texts,
            charts=printable_content(_charts(sources.runs, comparisons)),
            style=_asset("style.css"),
            scripts=scripts,
            policy=_policy(scripts.values()),
            versions=_versions(library),
        )
    )  # fmt: skip


def _charts(runs: Sequence[RunFiles], comparisons: Sequence[ComparisonView]) -> Charts:
    """Return the charts that the files hold figures for."""
    charts: Charts = {}
    for language in LANGUAGES:
        t = Translator(language)
        specs = {f"run{i}.{name}": make(run, t) for i, run in enumerate(runs, 1) for name, make in RUN_CHARTS.items()}
        for view in comparisons:
            specs |= {f"{view['key']}.{name}": make(view["record"], t) for name, make in COMPARISON_CHARTS.items()}
        charts[language] = {place: spec for place, spec in specs.items() if spec is not None}
    return charts


def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fintune.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["t"] = words.both
    environment.globals["metric_column"] = lambda name: words.in_both(partial(words.metric_column, name))
    environment.globals["others_of"] = lambda name: words.both("others_of", metric=partial(words.metric_column, name))
    environment.filters |= {name: getattr(words, name) for name in ("percent", "count", "figure")}
    return environment


def _policy(scripts: Iterable[str]) -> str:
    """Return a content security policy: nothing is fetched, and no script runs but these."""
    sums = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{checksum}'" for checksum in sums)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@cache
def _code(library: "ModuleType") -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; bundling takes seconds."""
    return str(library.javascript_bundle())


def _asset(name: str) -> str:
    return (files(__package__) / "page" / name).read_text("utf-8")


def _charts_library() -> "ModuleType":
    try:
        import jinja2  # noqa: F401
        import vl_convert
    except ModuleNotFoundError as error:
        raise BrokenEnvironment(
            f"the package {error.name} is missing: reports need it", hint=with_extra("report")
        ) from None
    return vl_convert


def _versions(library: "ModuleType") -> dict[str, str]:
    return {
        "fintune": importlib.metadata.version("fintune"),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "vega": library.get_vega_version(),
        "lite": library.get_vegalite_versions()[-1],
    }
