"""A first try timed and pictured: `fintune train FILE` of a made-up file in English and one in Chinese, nothing else typed.

python -m benchmarks.first_try --pictures docs/pictures

Each command runs on a terminal of 80 columns; what stands on it at the end becomes a picture (needs pyte, `pip install pyte`).
"""

import argparse
import csv
import fcntl
import html
import io
import itertools
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from fintune.runtime.files import write_atomically

_COLUMNS, _LINES = 80, 400
_CELL = 12.2
"""Width of a cell in rich's SVG."""
Halves = tuple[Sequence[str], Sequence[str]]
ENGLISH: Mapping[str, Halves] = {
    "card": (
        ("My card was declined at the till", "A payment I never made stands on my card", "The new card has not arrived",
         "The machine kept my card on Sunday", "My card was charged twice by one shop"),
        ("and the hotline cannot unblock it.", "though the PIN was right.", "and nobody reverses the purchase.",
         "so I travel without one.", "and the limit was changed unasked.", "while the app shows another number."),
    ),
    "mortgage": (
        ("My mortgage payment rose by a third", "The escrow account is short again", "The appraisal of our house came in late",
         "Refinancing was promised for June", "The property tax was paid twice"),
        ("and the servicer sends no statement.", "so the closing had to be put off.", "although the rate is fixed for ten years.",
         "and the deed is still not recorded.", "while the insurance was cancelled.", "and I lost the lower rate."),
    ),
    "transfer": (
        ("A wire to my supplier is missing", "The transfer abroad took nine days", "Money was sent to a wrong IBAN",
         "The standing order ran twice", "My salary never reached the account"),
        ("and the beneficiary's bank sees nothing.", "with a fee no one announced.", "and the recall was refused.",
         "though the cut-off time was kept.", "because of a compliance hold.", "and the exchange rate was a bad one."),
    ),
    "collection": (
        ("A collector calls about a debt I paid", "I get letters for somebody else's debt", "The agency threatens to sue me",
         "An old bill was sold to a collector", "They call at my work before seven"),
        ("and will not send a validation notice.", "and it now stands in my credit report.", "though the court dismissed it.",
         "and adds interest every week.", "after I asked them in writing to stop.", "without saying who the creditor is."),
    ),
}  # fmt: skip
CHINESE: Mapping[str, Halves] = {
    "网点服务": (
        ("昨天在柜台排队两小时", "大堂经理让我改天再来", "取号机坏了没有人管", "窗口只开了一个", "保安拦着不让进门"),
        ("，业务最后也没办成。", "，工作人员态度冷淡。", "，老人只能站着等。", "，问了三个人都说不知道。", "，中午还停止叫号。",
         "，投诉簿也找不到。"),
    ),
    "贷款申请": (
        ("房贷材料交了三次还要补", "经营贷审批一直没有回音", "合同利率与当初说的不同", "放款日期一拖再拖", "征信没问题却被拒贷"),
        ("，客户经理不接电话。", "，耽误了过户。", "，评估费已经交了。", "，额度也比承诺的少。", "，理由始终不说明。",
         "，首付款都付完了。"),
    ),
    "逾期费用": (
        ("还款当天到账仍收滞纳金", "三块钱零头罚了一百元", "自动扣款失败后收取罚息", "账单日改了没有通知", "提前还款还要违约金"),
        ("，要求退还被拒绝。", "，利息按全额计算。", "，短信提醒也没收到。", "，信用记录因此受影响。", "，客服说系统自动算的。",
         "，连续两个月都这样。"),
    ),
    "转账汇款": (
        ("跨行转账两天没到账", "汇款金额被多扣一笔", "手机银行转错了账户", "境外汇款被退回", "工资代发一直没入账"),
        ("，收款行说查不到。", "，手续费却照收。", "，撤回申请没人处理。", "，汇率还换低了。", "，对方公司在催款。",
         "，流水上看不到这笔。"),
    ),
}  # fmt: skip
FILES = {
    "complaints.csv": (("complaint", "product"), ENGLISH, " "),
    "投诉.csv": (("内容", "类别"), CHINESE, ""),
}


def write_rows(path: Path) -> None:
    """Write one of FILES: every beginning of a label with every end of it, 120 rows."""
    header, labels, between = FILES[path.name]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(header)
        for label, (beginnings, ends) in labels.items():
            rows.writerows((f"{beginning}{between}{end}", label) for beginning in beginnings for end in ends)


def on_terminal(arguments: Sequence[str], folder: Path) -> tuple[float, pyte.Screen]:
    """Run a command of fintune's on a terminal of its own; return the seconds it took and what stands on the terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS), "LINES": str(_LINES)}
    screen = pyte.Screen(_COLUMNS, _LINES)
    stream = pyte.ByteStream(screen)
    begun = time.monotonic()
    command = subprocess.Popen(
        [sys.executable, "-m", "fintune", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
    )  # fmt: skip
    os.close(theirs)
    while True:
        try:
            shown = os.read(ours, 65_536)
        except OSError:  # the command has closed its side
            break
        stream.feed(shown)
    code = command.wait()
    seconds = time.monotonic() - begun
    os.close(ours)
    if code:
        raise SystemExit("\n".join(screen.display).rstrip())
    return seconds, screen


def picture(command: str, screen: pyte.Screen) -> str:
    """Return an SVG of the terminal, the command above; nothing in it is fetched from elsewhere."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold"), command), soft_wrap=True)
    last = max(i for i, line in enumerate(screen.display) if line.strip())
    for row in range(last + 1):
        console.print(_line(screen, row), no_wrap=True, overflow="crop")
    svg = re.sub(r"@font-face\s*{[^}]*}", "", console.export_svg(title="fintune"))
    return re.sub(
        r'<text (class="\S+r\d+") x="([\d.]+)" (y="\S+") textLength="\S+" ([^>]*)>([^<]*)</text>', _on_the_grid, svg
    )


def _on_the_grid(element: re.Match[str]) -> str:
    """Part an SVG text at wide letters: rich counts letters, a terminal cells, and fonts differ in what a wide one takes."""
    name, x, y, rest, shown = element.groups()
    at, parts = float(x), []
    for _, letters in itertools.groupby(html.unescape(shown), key=cell_len):
        part = "".join(letters)
        width = cell_len(part) * _CELL
        written = html.escape(part).replace("\xa0", "&#160;")
        parts.append(f'<text {name} x="{at:g}" {y} textLength="{width:g}" {rest}>{written}</text>')
        at += width
    return "".join(parts)


def _line(screen: pyte.Screen, row: int) -> Text:
    cells = [screen.buffer[row][column] for column in range(_COLUMNS)]
    line = Text()
    for style, same in itertools.groupby(cells, key=_style):
        line.append("".join(cell.data for cell in same), style)
    line.rstrip()
    return line


def _style(cell: pyte.screens.Char) -> Style:
    color = None if cell.fg == "default" else {"brown": "yellow"}.get(cell.fg, cell.fg)
    if color is not None and re.fullmatch("[0-9a-f]{6}", color):
        color = f"#{color}"
    return Style(color=color, bold=cell.bold, italic=cell.italics, underline=cell.underscore)


def main() -> None:
    """Train on each file; print seconds, test accuracy and that of word counts as JSON; keep the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="a folder for the pictures")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, picture_name in zip(FILES, ("first-try-en", "first-try-zh"), strict=True):
            write_rows(folder / file)
            seconds, screen = on_terminal(["train", file], folder)
            if options.pictures is not None:
                write_atomically(options.pictures / f"{picture_name}.svg", picture(f"fintune train {file}", screen))
            content = json.loads((folder / "runs" / Path(file).stem / "scores.json").read_text())
            accuracies = [scores["test"]["accuracy"] for scores in (content["splits"], content["baselines"]["tfidf"])]
            shown = [f"{100 * a['value']:.1f} [{100 * a['low']:.1f}, {100 * a['high']:.1f}]" for a in accuracies]
            rows.append([f"`fintune train {file}`", f"{seconds:.0f}", *shown])
    print(json.dumps(rows, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
