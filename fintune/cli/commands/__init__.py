"""The commands: flags to one library call to printed lines. Everything else lives in the library.

>>> from fintune.cli.commands import COMMANDS
>>> [command.__name__ for command in COMMANDS][:3]
['init', 'check', 'plan']
"""

from fintune.cli.commands import calibrate, check, compress, evaluate, export, predict, registries, scores, train

COMMANDS = (
    *(check.init, check.check, check.plan, compress.trim, compress.prune, train.train, train.compare),
    *(
        evaluate.evaluate,
        scores.scores,
        calibrate.calibrate,
        calibrate.monitor,
        evaluate.report,
        predict.predict,
        predict.explain,
    ),
    *(export.merge, export.export, export.convert),
    *(registries.inspect, registries.tasks, registries.methods, registries.models),
)
"""The commands, in the order in which --help lists them."""
