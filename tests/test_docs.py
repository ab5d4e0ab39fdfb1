"""The docs hold together: links lead somewhere, pages stand in the menu, both READMEs tell the same, log entries keep their form."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from docs.drawn import GROUPS, VERDICTS, entries, slug

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("fintune/**/*.md")])
READMES = (ROOT / "README.md", ROOT / "README.zh.md")


def prose(page: Path) -> str:
    """The text of a page without its code."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]*`", "`code`", re.sub(r"(?m)^    .*$", "", text))


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may name."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    return {slug(heading.replace("`", "")) for heading in re.findall(r"(?m)^#+ (.+)$", text)}


def outline(page: Path) -> list[str]:
    return re.findall(r"(?m)^(#+) ", re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_a_file_and_a_heading_of_it(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target
        if page.is_relative_to(ROOT / "docs"):
            assert file.is_relative_to(ROOT / "docs"), f"{target} is no page of the site: name it as `path`"


def test_every_page_stands_in_the_menu_of_the_site() -> None:
    listed = re.findall(r"(?m): (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(str(p.relative_to(ROOT / "docs")) for p in ROOT.glob("docs/**/*.md"))


def test_both_readmes_are_short_and_tell_the_same() -> None:
    english, chinese = (page.read_text(encoding="utf-8") for page in READMES)
    assert outline(READMES[0]) == outline(READMES[1])
    for text in (english, chinese):
        assert len(text.splitlines()) <= 200
    figures = r"\d+\.\d \[\d+\.\d, \d+\.\d\]"
    assert re.findall(figures, english) == re.findall(figures, chinese)
    links = r"\]\(((?!README|http)[^)]+)\)"
    assert set(re.findall(links, chinese)) <= set(re.findall(links, english))
    packages = r"(?m)^- `(\w+)`"
    assert re.findall(packages, english) == re.findall(packages, chinese)


def test_an_entry_of_the_log_has_twelve_lines_and_a_verdict() -> None:
    log = entries(ROOT / "docs" / "log")
    assert {entry.verdict for entry in log} == set(VERDICTS)
    for entry in log:
        lines = [line for line in entry.body.splitlines() if line.strip()]
        assert len(lines) <= 12, entry.title
        assert not any(line.startswith("|") for line in lines), f"{entry.title}: a table belongs to benchmarks/results"
    assert [entry.date for entry in log] == sorted((entry.date for entry in log), reverse=True)


def test_every_measurement_names_its_group_and_its_entry_of_the_log() -> None:
    known = {anchor for month in (ROOT / "docs" / "log").glob("2*.md") for anchor in anchors(month)}
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        one = json.loads(path.read_text(encoding="utf-8"))
        assert one["group"] in GROUPS, path
        assert one["log"] in known, path
        assert {len(row) for row in one["rows"]} == {len(one["columns"])}, path


def test_decisions_say_context_decision_and_price() -> None:
    pages = sorted((ROOT / "docs" / "design" / "decisions").glob("[0-9]*.md"))
    for number, page in enumerate(pages, 1):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {number:03d} "), page
        assert re.findall(r"(?m)^\*\*(\w+)\.\*\*", text) == ["Context", "Decision", "Price"], page
        assert len(text.splitlines()) <= 20, page


def test_the_changes_name_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_hooks_before_a_commit_are_those_of_make_lint() -> None:
    """Generated docs included."""
    recipe = re.search(r"(?m)^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert recipe
    tools = [line.strip().removeprefix("$(BIN)/") for line in recipe[1].splitlines()]
    hooks = re.findall(
        r"entry: \.venv/bin/(.+?), language", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    )
    assert [tool.removesuffix(" .") for tool in tools] == [hook.replace(" --force-exclude", "") for hook in hooks]
