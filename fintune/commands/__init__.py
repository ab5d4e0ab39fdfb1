"""The commands: flags to one library call to printed lines. Everything else lives in the library.

>>> from fintune.commands import COMMANDS
>>> COMMANDS["tasks"](as_json=True)
"""

from fintune.commands.answering import explain, predict
from fintune.commands.exporting import convert, export, merge
from fintune.commands.judging import evaluate, report
from fintune.commands.listing import inspect, methods, models, tasks
from fintune.commands.preparing import check, init, plan
from fintune.commands.shrinking import prune, trim
from fintune.commands.training import compare, train

COMMANDS = (
    *(init, check, plan, trim, prune, train, compare, evaluate, report, predict, explain),
    *(merge, export, convert, inspect, tasks, methods, models),
)
"""in the order in which --help lists them"""
