"""One run of a comparison in a process of its own: python -m fintune.comparison.worker CONFIG PART [CODE...]

What it fails with is said on standard output, as JSON; the rest of a run's life is in its folder.
"""

import json
import sys
import warnings

from fintune import errors, signals
from fintune.comparison.making import made
from fintune.config import load
from fintune.own_code import load_code


def main(config: str, part: str, *code: str) -> None:
    """Make the run. Exits with 2 when it fails foreseeably."""
    warnings.filterwarnings("ignore")
    for path in code:
        load_code(path)
    try:
        made(load(config), part)
    except errors.FintuneError as error:
        said = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.exit(2)


if __name__ == "__main__":
    signals.heed_signals()
    main(*sys.argv[1:])
