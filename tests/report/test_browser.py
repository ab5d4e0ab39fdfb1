"""The page in headless Chromium: nothing asked for, nothing complained of, and every control does what it says."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fintune.report import write_report
from fintune.runs.run import Run
from tests.report.made import NASTY, made_comparison, made_numbers, made_run, made_texts, rewrite

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

LENGTHS = '[data-chart="run1.lengths"]'

pytestmark = pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="no chromium on PATH")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison and its two runs, with texts that try to break out."""
    folder = tmp_path_factory.mktemp("report")
    for name in ("lora-0", "ia3-0"):
        made_run(folder / name, text=NASTY)
    comparison = made_comparison(folder / "c", {"lora": ["../lora-0"], "ia3": ["../ia3-0"]})
    return write_report([comparison], folder / "page.html")


@pytest.fixture(params=[1400, 400])
def page(request: pytest.FixtureRequest, browser: Any, page_file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": request.param, "height": 900}, locale="en-GB")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or complaints.append(asked.url)
    )
    opened.goto(page_file.as_uri())
    opened.wait_for_selector("html[data-drawn=en]")
    yield opened
    context.close()
    assert complaints == []


def drawn(page: Any) -> int:
    count: int = page.locator(".chart:visible svg").count()
    return count


def test_every_chart_is_drawn_and_nothing_sticks_out(page: Any) -> None:
    assert drawn(page) == page.locator(".chart:visible").count() == 12
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator(f"{LENGTHS} .mark-rect path").last.bounding_box()
    assert box["width"] * box["height"] > 100
    assert "Comparison" in page.locator("article.comparison .kicker").inner_text()


@pytest.mark.parametrize("made", [made_numbers, made_texts])
@pytest.mark.parametrize("width", [1400, 400])
def test_answers_that_are_no_labels_are_drawn_too(
    browser: Any, tmp_path: Path, made: Callable[..., Run], width: int
) -> None:
    run = made(tmp_path / "a", text=NASTY)
    rewrite(run, "test", written="word" * 100)
    opened = browser.new_page(viewport={"width": width, "height": 900}, locale="en-GB")
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(write_report([run.folder]).as_uri())
    opened.wait_for_selector("html[data-drawn=en]")
    assert drawn(opened) == opened.locator(".chart:visible").count() == 4
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.close()
    assert complaints == []


def test_texts_stay_texts(page: Any) -> None:
    assert page.locator("img").count() == 0
    assert NASTY in page.locator("#run1 td.text").first.inner_text()
    assert page.title() == "c · FinTune"


def test_the_language_changes_page_and_charts(page: Any) -> None:
    assert page.locator("#run1-errors").inner_text() == "Where it errs"
    page.click("#language")
    page.wait_for_selector("html[data-drawn=zh]")
    assert page.locator("#run1-errors").inner_text() == "错在哪里"
    assert "轮次" in page.locator('[data-chart="run1.loss"] svg').text_content()
    page.reload()
    page.wait_for_selector("html[data-drawn]")
    assert page.locator("html").get_attribute("lang") == "zh"


def test_the_theme_changes_paper_and_charts(page: Any) -> None:
    def colors() -> tuple[str, str]:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return paper, page.locator(f"{LENGTHS} .mark-rect path").last.evaluate("e => getComputedStyle(e).fill")

    assert colors() == ("rgb(252, 251, 248)", "rgb(42, 95, 148)")
    page.click("#theme")
    assert colors() == ("rgb(20, 23, 27)", "rgb(119, 174, 226)")


def test_the_system_decides_the_theme_first(browser: Any, page_file: Path) -> None:
    opened = browser.new_page(color_scheme="dark")
    opened.goto(page_file.as_uri())
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    opened.close()


def test_a_click_on_a_heading_sorts(page: Any) -> None:
    table = page.locator("#run1 table.texts").nth(1)
    heading = table.locator("th", has_text="Confidence")
    heading.locator("button").click()
    shares = [float(s.split()[0]) for s in table.locator("tbody td.num").all_inner_texts()]
    assert heading.get_attribute("aria-sort") == "descending"
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]
    heading.locator("button").click()
    assert table.locator("tbody td.num").first.inner_text().startswith("60.0")
    compared = page.locator("table.compared")
    compared.locator("th", has_text="Training time").locator("button").click()
    assert compared.locator("tbody th").all_inner_texts()[0] == "ia3"
    compared.locator("th", has_text="Training time").locator("button").click()
    assert compared.locator("tbody th").all_inner_texts()[-1] == "TF-IDF + linear model"  # no time: last


def test_a_run_is_picked_from_the_list_or_the_table(page: Any) -> None:
    page.select_option("#pick", "run2")
    page.wait_for_selector('[data-chart="run2.loss"] svg')
    assert (page.locator("#run1").is_visible(), page.locator("#run2").is_visible()) == (False, True)
    page.locator("table.compared a", has_text="lora").click()
    page.wait_for_selector("#run1:visible")
    assert page.locator("#pick").input_value() == "run1"


def test_the_numbers_of_a_chart_can_be_read(page: Any) -> None:
    page.locator('[data-numbers="run1.per_class"] summary').click()
    rows = page.locator('[data-numbers="run1.per_class"] tr')
    rows.nth(9).wait_for()
    assert rows.count() == 10
    assert rows.nth(0).inner_text().split("\t") == ["Label", "Metric", "Value", "Low", "High"]


def test_headings_tables_and_controls_have_names(page: Any) -> None:
    def odd(selector: str, test: str) -> list[str]:
        found: list[str] = page.evaluate(
            f"[...document.querySelectorAll('{selector}')].filter(e => {test}).map(e => e.outerHTML)"
        )
        return found

    assert odd("button, select, a", "e.checkVisibility() && !e.innerText.trim() && !e.labels?.length") == []
    assert odd("thead th:not([scope]), tbody th:not([scope])", "true") == []
    assert (
        odd("[aria-labelledby]", "!document.getElementById(e.getAttribute('aria-labelledby'))".replace("'", '"')) == []
    )
    assert page.locator(".chart[aria-label]:visible").count() == drawn(page)
    levels = [
        int(name[1])
        for name in page.locator("h1:visible, h2:visible, h3:visible").evaluate_all("all => all.map(e => e.tagName)")
    ]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_paper(browser: Any, page_file: Path, theme: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 : 1."""
    opened = browser.new_page(color_scheme=theme)
    opened.goto(page_file.as_uri())
    for name in ("--ink", "--muted", "--link", "--good", "--bad", "--warn"):
        for paper in ("--paper", "--wash"):
            shown, behind = (
                opened.evaluate("n => getComputedStyle(document.documentElement).getPropertyValue(n)", n)
                for n in (name, paper)
            )
            assert contrast(shown, behind) >= 4.5, (name, paper, theme)
    opened.close()


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(color.strip()[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
