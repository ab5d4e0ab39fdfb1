"""What libraries say while a model is loaded (bars, remarks, what they will do otherwise one day) is not for whoever called us.

Who wants it says so: transformers.logging.set_verbosity_info(), python -W, or --debug.

Example:
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder)
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, INFO, getLogger
from typing import Any
from warnings import catch_warnings, filterwarnings

_LIBRARIES = ("transformers", "peft", "torch", "bitsandbytes", "accelerate")


@contextmanager
def quiet() -> Iterator[None]:
    """Inside the block the libraries of a model print nothing, unless they have been asked to."""
    from transformers.utils import logging

    switches: Any = logging
    if switches.get_verbosity() <= INFO:
        yield
        return
    bars, others = switches.is_progress_bar_enabled(), getLogger("bitsandbytes")
    levels = switches.get_verbosity(), others.level
    switches.set_verbosity_error()
    switches.disable_progress_bar()
    others.setLevel(ERROR)  # it names kernels it would rather have
    try:
        with catch_warnings():
            if not sys.warnoptions:
                filterwarnings("ignore", module=rf"({'|'.join(_LIBRARIES)})(\.|$)")
            yield
    finally:
        switches.set_verbosity(levels[0])
        others.setLevel(levels[1])
        if bars:
            switches.enable_progress_bar()
