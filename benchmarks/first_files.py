"""Fourteen kinds of files as people have them, made up: what must be typed before a model can be trained on each.

python -m benchmarks.first_files

`config`: settings beside data.path that a YAML needs for what the look into the file finds; `typed`: what `fintune check FILE` needs.
"""

import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fintune.data.guess.guess import Guess, guess_files
from fintune.data.settings import DataSection

_ROWS = 60
_NAMES = ["Marlow", "Borel", "Corvid", "Delta", "Emmons", "Fairway", "Gantry", "Harrow"]
_TONES = ["negative", "neutral", "positive"]
_SAID = {
    "negative": "{} said losses of quarter {} would force it to close plants",
    "neutral": "{} will hold the meeting of quarter {} in its own house",
    "positive": "{} raised its profit of quarter {} and pays more than ever",
}
_DESKS = {"negative": "closures", "neutral": "meetings", "positive": "dividends"}
_WHO = ["周一上午", "昨天在柜台", "用了三年之后", "我母亲", "出差途中", "今天一早", "上个月底", "春节期间"]
_ZH = {
    "网点服务": ["排队两小时无人叫号", "窗口只开一个，态度冷淡", "保安不让进门取号", "大堂经理让我改天再来"],
    "贷款申请": [
        "房贷材料交了三次还要补",
        "利率与合同上写的不同",
        "经营贷审批一直没有回音",
        "被告知额度不足却不给理由",
    ],
    "逾期费用": [
        "还款当天到账仍收滞纳金",
        "三块钱零头罚了一百元",
        "自动扣款失败后收取罚息",
        "账单日改了没有通知，产生违约金",
    ],
}
Rows = Sequence[tuple[str, str]]


def _rows() -> Rows:
    tones = [_TONES[i % 3] for i in range(_ROWS)]
    return [(_SAID[tone].format(_NAMES[i % 8], i), tone) for i, tone in enumerate(tones)]


def _chinese() -> Rows:
    return [(f"{who}，{text}", label) for who in _WHO for label, texts in _ZH.items() for text in texts]


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([header, *rows])
    return text.getvalue()


def _lines(records: Sequence[object]) -> str:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records)


def _code(tone: str) -> int:
    return _TONES.index(tone)


KINDS: Mapping[str, tuple[str, str, Callable[[], str]]] = {
    "sentence@label, latin-1": (
        "phrases.txt",
        "latin-1",
        lambda: "\n".join(f"{text} .@{tone}" for text, tone in _rows()),
    ),
    "csv, labels as numbers": (
        "tweets.csv",
        "utf-8",
        lambda: _csv(["text", "label"], [(text, _code(tone)) for text, tone in _rows()]),
    ),
    "Chinese posts, JSON list of lists": (
        "posts.json",
        "utf-8",
        lambda: json.dumps([[i, text, list(_ZH).index(label)] for i, (text, label) in enumerate(_chinese())]),
    ),
    "JSON Lines, context and target": (
        "news.jsonl",
        "utf-8",
        lambda: _lines([{"context": text, "target": tone} for text, tone in _rows()]),
    ),
    "complaints, csv": (
        "complaints.csv",
        "utf-8",
        lambda: _csv(["id", "complaint", "category"], [(i, text, _DESKS[tone]) for i, (text, tone) in enumerate(_rows())]),
    ),
    "Chinese csv of Excel, gb18030": ("投诉.csv", "gb18030", lambda: _csv(["投诉内容", "类别"], _chinese())),
    "scores in JSON": (
        "scores.json",
        "utf-8",
        lambda: json.dumps(
            {
                str(i): {"title": text, "sentiment": round((_code(tone) - 1) * 0.7 + i / 500, 3)}
                for i, (text, tone) in enumerate(_rows())
            }
        ),
    ),
    "title and body": (
        "wire.csv",
        "utf-8",
        lambda: _csv(
            ["title", "body", "label"],
            [(f"Item {i}: {text[:24]}", f"{text}, the board said on Monday", tone) for i, (text, tone) in enumerate(_rows())],
        ),
    ),
    "tabs, UTF-16 (Unicode text of Excel)": ("export.csv", "utf-16", lambda: _csv(["text", "label"], _rows(), "\t")),
    "nested JSON Lines": (
        "docs.jsonl",
        "utf-8",
        lambda: _lines([{"doc": {"text": text}, "meta": {"label": tone, "by": "desk"}} for text, tone in _rows()]),
    ),
    "answers in lists of one": (
        "records.json",
        "utf-8",
        lambda: json.dumps(
            {str(i): {"sentence": text, "info": [{"target": tone}]} for i, (text, tone) in enumerate(_rows())}
        ),
    ),
    "semicolons, codes with a point": (
        "desk.csv",
        "utf-8",
        lambda: _csv(["text", "label"], [(text, float(_code(tone))) for text, tone in _rows()], ";"),
    ),
    "answers for several targets in a cell": (
        "targets.csv",
        "utf-8",
        lambda: _csv(
            ["Title", "Decisions"],
            [(text, str({_NAMES[i % 8]: tone, _NAMES[(i + 3) % 8]: _TONES[i % 3 - 1]})) for i, (text, tone) in enumerate(_rows())],
        ),
    ),
    "several yes/no columns": (
        "gold.csv",
        "utf-8",
        lambda: _csv(
            ["News", "Direction Up", "Direction Down", "Past"],
            [(text, int(tone == "positive"), int(tone == "negative"), i % 5 % 2) for i, (text, tone) in enumerate(_rows())],
            "\t",
        ),
    ),
}  # fmt: skip
"""Name and encoding of a file, and what it holds, by what people would call it."""
CHOSEN = {
    "answers for several targets in a cell": ["data.explode=Decisions"],
    "several yes/no columns": ["data.label_column=Direction Up"],
}
"""What the refusal of these names to be typed."""


def needed(guess: Guess) -> list[str]:
    """Return the settings beside data.path that are not as they are when left out."""
    usual = {name: field.default for name, field in DataSection.model_fields.items()}
    data = [name for name, value in guess.settings["data"].items() if name != "path" and usual.get(name) != value]
    return [f"data.{name}" for name in data] + [f"task.{name}" for name in guess.settings["task"]]


def main() -> None:
    """Make the files, check each as a newcomer would, and print a row of each."""
    print("| file | config | typed | exit |", "|---|---|---|---|", sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        for kind, (name, encoding, content) in KINDS.items():
            path = Path(folder, name)
            path.write_text(content(), encoding=encoding, newline="")
            typed = CHOSEN.get(kind, [])
            settings = {key.removeprefix("data."): value for key, value in (one.split("=", 1) for one in typed)}
            config = needed(guess_files([str(path)], {"data": settings}))
            overrides = [word for one in typed for word in ("--set", one)]
            done = subprocess.run(
                [sys.executable, "-m", "fintune", "check", str(path), *overrides], capture_output=True, check=False
            )
            print(f"| {kind} | {len(config) + len(typed)} | {len(typed)} | {done.returncode} |", flush=True)


if __name__ == "__main__":
    main()
