"""What steers a screen, a page or a document stands there in letters; everything else as it was."""

import json
import unicodedata
from ast import literal_eval

import pytest
from markdown_it import MarkdownIt

from fintune.runtime.printable import json_text, markdown, markdown_code, one_line, printable, printable_content

STEERING = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
BIDI = [chr(code) for code in range(0x110000) if unicodedata.bidirectional(chr(code)) in
        ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")]  # fmt: skip
HIDDEN = list("\u200b\u200e\u200f\u2028\u2029\u2060\ufeff\U000e0041\ud800\udce9")
KEPT = "Gewinn +12 % \\ [red] ‘x’ \u200c\u200d\u00ad\u202f 利润增长 ربح 🇳🇴👩‍💻\n\t"
DOCUMENT = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.mark.parametrize("letter", STEERING + BIDI + HIDDEN, ids=ascii)
def test_every_steering_character_is_shown(letter: str) -> None:
    shown = printable(f"a{letter}b")
    assert shown[0] + shown[-1] == "ab"
    assert literal_eval(f'"{shown}"') == f"a{letter}b", "the escape names it"
    assert shown.isascii()
    assert shown.isprintable()
    written = json_text([f"a{letter}b"], indent=1)
    assert (json.loads(written), written.isascii()) == ([f"a{letter}b"], True)


def test_everything_else_stays() -> None:
    assert (printable(KEPT), json.loads(json_text(KEPT))) == (KEPT, KEPT)
    assert "利润增长 ربح" in json_text(KEPT)
    assert one_line("a\nb\tc") == r"a\nb\tc"
    assert printable_content({"\x1b": [1, None, ("\u202e",)]}) == {"\\x1b": [1, None, ["\\u202e"]]}


HOSTILE = [
    "a|b", "`code`", "``", "[click](http://evil.example)", "![x](http://evil.example/y.png)", "<img src=x>", "<!-- x",
    "&lt;b&gt;", "http://evil.example", "www.evil.example", "*bold* _em_ **x**", "a\n\n# b", "\\", "~~x~~", "news_2024.csv",
    "$x$", " ", "`", "a\\|b", "\x1b[31m", "利润|增长", "</code>",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("written", [markdown, markdown_code])
def test_a_document_shows_the_letters_and_nothing_else(text: str, written: object) -> None:
    assert callable(written)
    document = f"# {written(text)}\n\nSee {written(text)} and {written(text)}.\n\n| a | b |\n|---|---|\n| {written(text)} | 1 |\n"
    tokens = DOCUMENT.parse(document)
    kinds = [child.type for token in tokens for child in token.children or ()]
    assert "://" not in document.replace(f"`{text}`", ""), "a bare address is a link on some pages"
    assert set(kinds) <= {"text", "code_inline", "html_inline", "text_special", "softbreak"}
    assert kinds.count("html_inline") in (0, 8), "our own <code> alone"
    cells = [token for token in tokens if token.type == "td_open"]
    assert len(cells) == 2
    shown = [
        "".join(c.content for c in token.children or () if c.type != "html_inline")
        for token in tokens
        if token.type == "inline"
    ]
    assert shown[0].strip() == shown[4].strip() == one_line(text).strip()


def test_plain_names_look_as_before() -> None:
    assert (
        markdown("Sentences_AllAgree.txt, 2,264 rows (CC-BY-4.0)") == "Sentences_AllAgree.txt, 2,264 rows (CC-BY-4.0)"
    )
    assert markdown_code("runs/phrasebank_lora-1") == "`runs/phrasebank_lora-1`"
