"""Every command that shows what others wrote shows it in letters: no byte of it reaches a terminal, a card or a page as an order."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

import fintune
from fintune.cli import progress
from fintune.cli.screen import GuardedStream, Screen
from fintune.runs import adapter_store
from fintune.runtime.progress import advance, tell
from tests.conftest import Command
from tests.tiny import config_for, tiny_rows

ORDER = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\x7f\u2028\u200b"
"""title, clear, red by C1, right to left, isolate, delete, a line end, a blank nobody sees"""
MARKUP = "[red][link=http://evil.example]|`a`<img src=x>[x](http://evil.example):smile:"
LABELS = [f"up{ORDER}{MARKUP}", f"{MARKUP}{ORDER}down"]
_RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def orders(shown: str) -> list[str]:
    return [ascii(letter) for letter in _RAW.findall(shown)]


class World(NamedTuple):
    run: Any
    config: Path
    """the run's config as a file"""
    rows: Path
    model: Path
    adapter: Path
    folder: Path


@pytest.fixture(scope="module")
def world(tiny_causal: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run whose base, file, columns, texts, labels and source bear orders in their names."""
    folder = tmp_path_factory.mktemp("hostile") / f"dir{ORDER}"
    model = Path(shutil.copytree(tiny_causal, folder / f"base{ORDER}[red]"))
    rows = folder / f"rows{ORDER}[red]|x.jsonl"
    label = {"negative": LABELS[0], "positive": LABELS[1]}
    rows.write_text(
        "".join(
            json.dumps({f"text{ORDER}": f"{row['text']}{ORDER}{MARKUP} {row['label'][0]}", "label": label[row["label"]]}) + "\n"
            for row in tiny_rows(60)
            if row["label"] in label
        )
    )  # fmt: skip
    settings = config_for(model, rows, folder)
    settings["data"]["split"] = {"by": "stratified"}
    settings["data"]["text_column"] = f"text{ORDER}"
    settings["task"] = {
        "name": "classification",
        "labels": LABELS,
        "answers": dict(zip(LABELS, "+-", strict=True)),
        "prompt": "{text}{answer}",
    }
    settings["model"]["max_length"] = 256
    settings["train"]["epochs"] = 1
    settings["data"]["license"] = f"free{ORDER}|[x](http://evil.example)"
    config = folder / f"run{ORDER}.yaml"
    config.write_text(json.dumps(settings))
    run = fintune.train(settings)
    adapter = Path(shutil.copytree(run.adapter, folder / f"adapter{ORDER}"))
    foreign = json.loads((adapter / "adapter_config.json").read_text()) | {"base_model_name_or_path": f"base{ORDER}"}
    (adapter / "adapter_config.json").write_text(json.dumps(foreign))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINTUNE_CACHE", str(folder / "kept"))
        adapter_store.add(run.folder, name=None)
    return World(run=run, config=config, rows=rows, model=model, adapter=adapter, folder=folder)


TEXT = f"{ORDER}{MARKUP}"
COMMANDS: dict[str, Callable[[World], Sequence[object]]] = {
    "init": lambda w: ("init", w.folder / f"new{ORDER}.yaml", "--force"),
    "check": lambda w: ("check", w.config, "--against", w.rows),
    "check, wrong key": lambda w: ("check", w.config, "--set", f"data.{ORDER}[red]=1"),
    "check, wrong value": lambda w: ("check", w.config, "--set", f"data.format={ORDER}[red]"),
    "check, no such column": lambda w: ("check", w.config, "--set", f"data.text_column={ORDER}[red]"),
    "check, no such file": lambda w: ("check", f"{ORDER}[red]\nnext:  rm.yaml"),
    "train": lambda w: ("train", w.config, "--set", "name=again", "--overwrite"),
    "train, taken": lambda w: ("train", w.config),
    "compare": lambda w: ("compare", w.config, "--methods", "lora", "--seeds", 1),
    "evaluate": lambda w: ("evaluate", w.run.folder, "--data", w.rows),
    "evaluate, part": lambda w: ("evaluate", w.run.folder, "--split", TEXT),
    "predict": lambda w: ("predict", w.run.folder, TEXT, "second"),
    "predict, output": lambda w: ("predict", w.run.folder, "--file", w.rows, "--output", w.folder / f"o{ORDER}.csv"),
    "explain": lambda w: ("explain", w.run.folder, TEXT[:40]),
    "export": lambda w: ("export", w.run.folder, "--overwrite", "--table", "-o", w.folder / f"exported{ORDER}"),
    "merge": lambda w: ("merge", w.run.folder, "--overwrite", "-o", w.folder / f"merged{ORDER}"),
    "inspect, run": lambda w: ("inspect", w.run.folder),
    "inspect, adapter": lambda w: ("inspect", w.adapter),
    "inspect, nothing": lambda w: ("inspect", w.folder / ORDER),
    "adapters add": lambda w: ("adapters", "add", w.folder / TEXT),
    "adapters list": lambda w: ("adapters", "list"),
    "adapters remove": lambda w: ("adapters", "remove", TEXT),
    "report": lambda w: ("report", w.run.folder, "-o", w.folder / f"page{ORDER}.html"),
    "trim": lambda w: ("trim", w.config, "--overwrite", "-o", w.folder / f"trimmed{ORDER}"),
    "prune": lambda w: ("prune", w.model, "-n", 1, "--overwrite", "-o", w.folder / f"pruned{ORDER}"),
    "convert": lambda w: ("convert", w.folder / f"{ORDER}.gguf", "-o", w.folder / "converted"),
    "methods": lambda w: ("methods", TEXT),
    "no such command": lambda w: (TEXT,),
    "no such flag": lambda w: ("check", f"--{TEXT}"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_passes_an_order_on(fin: Command, world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(world.folder / "kept"))
    result = fin(*COMMANDS[name](world))
    shown = result.out + result.err
    assert orders(shown) == []
    assert "\\x1b" in shown, "it is shown as an escape, not left out"
    assert "\nnext:  rm" not in shown


JSON = {
    "check": lambda w: ("check", w.config, "--against", w.rows),
    "evaluate": COMMANDS["evaluate"],
    "predict": lambda w: ("predict", w.run.folder, TEXT),
    "explain": COMMANDS["explain"],
    "inspect, run": COMMANDS["inspect, run"],
    "inspect, adapter": COMMANDS["inspect, adapter"],
    "adapters list": COMMANDS["adapters list"],
}


@pytest.mark.parametrize("name", JSON)
def test_json_for_programs_holds_the_same_text_and_steers_no_terminal(
    fin: Command, world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(world.folder / "kept"))
    result = fin(*JSON[name](world), "--json")
    assert orders(result.out) == []
    assert any(ORDER in text for text in texts_of(json.loads(result.out))), "nothing is lost"


def texts_of(content: Any) -> Iterator[str]:
    """Every text in what JSON holds, names among them."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from (key, *texts_of(value))
    elif isinstance(content, list):
        for value in content:
            yield from texts_of(value)
    elif isinstance(content, str):
        yield content


def test_cards_hold_neither_orders_nor_links_nor_html(fin: Command, world: World) -> None:
    fin("export", world.run.folder, "--overwrite", "-o", world.folder / "carded")
    for folder in (world.run.folder, world.folder / "carded"):
        card = (folder / "README.md").read_text()
        assert orders(card) == []
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(card)
        inline = [child for token in tokens for child in token.children or ()]
        assert {child.type for child in inline} <= {
            "text",
            "text_special",
            "softbreak",
            "code_inline",
            "html_inline",
            "strong_open",
            "strong_close",
        }
        assert {child.content for child in inline if child.type == "html_inline"} <= {"<code>", "</code>"}
        assert not [token for token in tokens if token.type == "html_block"]
        letters = "".join(child.content for child in inline)
        assert (r"\x1b]0;owned" in letters, "[x](http://evil.example)" in letters) == (True, True)


def test_the_page_holds_no_orders(fin: Command, world: World) -> None:
    page = world.folder / "page.html"
    assert fin("report", world.run.folder, "-o", page).code == 0
    written = page.read_text()
    assert orders(written) == []
    charts = json.loads(re.findall(r'id="charts">(.*?)</script>', written, re.DOTALL)[0])
    assert [orders(text) for text in texts_of(charts) if orders(text)] == []
    assert "\\x1b]0;owned" in written


def test_a_traceback_and_what_libraries_print_are_guarded() -> None:
    code = f"""import sys, warnings
from fintune.cli import app
from fintune.cli.screen import guard_streams
guard_streams()
warnings.warn({ORDER!r})
print({ORDER!r})
sys.argv = ['fintune', 'check', {ORDER!r}, '--debug']
app.main()"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Traceback" in ended.stderr
    assert orders(ended.stdout + ended.stderr) == []
    assert (ended.stdout.count(r"\x1b[2J"), ended.stderr.count(r"\x1b[2J") >= 2) == (1, True)


def test_bars_and_messages_show_letters_on_a_terminal() -> None:
    shown = io.StringIO()
    screen = Screen(file=shown, force_terminal=True, width=120)
    with progress.progress_bars(screen):
        tell("data", TEXT)
        advance(f"st{ORDER}", 1, 2, TEXT)
    written = shown.getvalue()
    assert "[red]" in written
    assert "evil.example\x1b\\" not in written
    for order in ("\x1b]0", "\x9b", "\u202e", "\u2066", "\x1b]8"):
        assert order not in written


def test_a_guarded_stream_lets_a_console_draw_and_nobody_else() -> None:
    below = io.StringIO()
    stream = GuardedStream(below)
    print("a\x1b[1mb", file=stream)
    stream.writelines(["c\x9b", "d\n"])
    Console(file=stream, force_terminal=True).print("e", style="bold")  # type: ignore[arg-type]
    assert below.getvalue() == "a\\x1b[1mb\nc\\x9bd\n\x1b[1me\x1b[0m\n"


def test_bars_draw_on_the_terminal_behind_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """While bars are drawn, rich puts itself before standard error: what bars order reaches the terminal, what others order does not."""
    below = io.StringIO()
    monkeypatch.setattr(sys, "stderr", GuardedStream(below))
    screen = Screen(stderr=True, force_terminal=True, width=80)
    with progress.progress_bars(screen):
        advance("train", 1, 2, "loss 0.5")
        tell("data", "120 rows read")
        print(ORDER, file=sys.stderr)
    written = below.getvalue()
    assert "\r\x1b[2K" in written
    assert "\\x1b" not in written
    assert "\x1b]0" not in written
