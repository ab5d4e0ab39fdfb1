"""Runs and comparisons -> one HTML file that holds its charts, their library and its words, and asks no network for anything.

A policy in the page names the checksums of its own scripts: no other script runs, whatever a text contains.

>>> write_report(["runs/lora", "runs/ia3"], Path("report.html"), texts=False)
"""

import base64
import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import BrokenEnvironment
from fintune.report import comparison_view, words
from fintune.report.charts import COMPARISON_CHARTS, RUN_CHARTS
from fintune.report.reading import RunFiles
from fintune.report.run_view import run_view
from fintune.report.sources import Sources, gather
from fintune.report.words import LANGUAGES, Words
from fintune.runtime.files import need_place, write_atomically
from fintune.runtime.install import with_extra
from fintune.runtime.printable import printable, printable_content
from fintune.runtime.progress import tell

if TYPE_CHECKING:
    from types import ModuleType

    from jinja2 import Environment

FILE = "report.html"
_TEXTS, _FEWEST = 160, 10
"""rows of a table of texts: so many over all runs, and so few at least; 40 in a report of up to four runs"""
Charts = dict[str, dict[str, Any]]
"""language -> place on the page -> Vega-Lite spec"""


def write_report(paths: Sequence[str | Path], output: Path | None = None, *, texts: bool = True) -> Path:
    """Write the report of runs and comparison folders, and return where.

    `output`: left out, it lies in the folder when there is one, else here. Raises RunError where a path is neither.
    """
    library = _charts_library()
    found = gather([Path(path) for path in paths])
    place = output or (Path(paths[0]) / FILE if len(paths) == 1 else Path(FILE))
    need_place(place)
    page = render(found, library, texts=texts)
    write_atomically(place, page)
    tell("report", f"{len(found.runs)} runs · {place.stat().st_size / 1e6:.1f} MB")
    return place


def render(found: Sources, library: "ModuleType", *, texts: bool) -> str:
    """Return the page."""
    most = min(40, max(_FEWEST, _TEXTS // max(len(found.runs), 1)))
    views = [run_view(run, key=f"run{i}", texts=texts, most=most) for i, run in enumerate(found.runs, 1)]
    comparisons = comparison_view.views(found, views)
    scripts = {"library": printable(_code(library)), "page": _asset("page.js")}
    return printable(
        _templates().get_template("report.html").render(
            runs=views,
            comparisons=comparisons,
            texts=texts,
            charts=printable_content(_charts(found.runs, comparisons)),
            style=_asset("style.css"),
            scripts=scripts,
            policy=_policy(scripts.values()),
            versions=_versions(library),
        )
    )  # fmt: skip


def _charts(runs: Sequence[RunFiles], comparisons: Sequence[Mapping[str, Any]]) -> Charts:
    """Those that the files hold."""
    found: Charts = {}
    for language in LANGUAGES:
        t = Words(language)
        made = {f"run{i}.{name}": make(run, t) for i, run in enumerate(runs, 1) for name, make in RUN_CHARTS.items()}
        for view in comparisons:
            made |= {f"{view['key']}.{name}": make(view["found"], t) for name, make in COMPARISON_CHARTS.items()}
        found[language] = {place: spec for place, spec in made.items() if spec is not None}
    return found


def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("fintune.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["t"] = words.both
    made.filters |= {name: getattr(words, name) for name in ("percent", "count", "duration", "size")}
    return made


def _policy(scripts: Any) -> str:
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
