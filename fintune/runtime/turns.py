"""Turns where threads share what a call rearranges: a model's modules, a tokenizer's settings, transformers itself while it loads.

A forward pass exchanges parts of the model it runs through (head.py, last_block.py, trunk/), and modules may keep what they have
seen (quantized layers, methods of one's own): each pass is one thread's. State of a call is handed down as arguments, never kept.

Example:
    with turn(model):
        logits = model(**inputs).logits
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock, RLock
from weakref import WeakKeyDictionary

from fintune.runtime.quiet import quiet

_ONE = Lock()
_LOADING = RLock()
_turns: "WeakKeyDictionary[object, AbstractContextManager[object]]" = WeakKeyDictionary()


@contextmanager
def turn(shared: object) -> Iterator[None]:
    """Inside the block no other thread has the turn of this object, which is a model (without PEFT's wrapper) or a tokenizer."""
    with _ONE:
        lock = _turns.setdefault(shared, RLock())
    with lock:
        yield


@contextmanager
def loading() -> Iterator[None]:
    """Inside the block, or a function it decorates, no other thread loads: transformers exchanges functions for all threads then.

    Its bars and remarks are off meanwhile (quiet.py).
    """
    with _LOADING, quiet():
        yield
