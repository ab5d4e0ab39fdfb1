"""Whether the hub can be reached, found out in a second: its library waits and asks again for half a minute.

Example:
    hub_answers()
    # True
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE = threading.Lock()
_PATIENCE = 1.5
"""Seconds to wait for an answer; a name that cannot be looked up takes the system longer."""


def hub_answers() -> bool:
    """Whether the hub, or its mirror or proxy, says anything at all; False where the user asked to stay offline."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    answered = threading.Event()

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
        except Exception:  # of the system, of the library, of a proxy: no answer
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    return answered.is_set()


@contextmanager
def from_cache() -> Iterator[None]:
    """Inside the block `datasets` asks nobody and reads what was downloaded before; it has no argument for that.

    The switch is the whole process's: one thread at a time has it, so that the last one out leaves it as the first found it.
    """
    import datasets
    from huggingface_hub import constants

    with _ONE:
        former = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = former
