"""A run's cache of trunk states, filled: what its settings and its texts make of it."""

from collections.abc import Sequence
from pathlib import Path

from fintune.config.train import TrainSection
from fintune.models import LoadedModel
from fintune.models.batches import read
from fintune.models.shortcuts.trunk import NoTrunk, Trunk
from fintune.models.shortcuts.trunk_cache import TrunkCache
from fintune.records import Encoded


def open_cache(
    trunk: Trunk,
    tuned: LoadedModel,
    encoded: Sequence[Encoded],
    prompts: Sequence[Sequence[int]],
    settings: TrainSection,
    root: Path | None = None,
) -> TrunkCache:
    """Return the cache of a training part and of the prompts to be judged.

    Raises RunError when it passes the limit, NoTrunk where no file can be written.
    """
    sequences = [read(example, tuned.kind) for example in encoded]
    cache = TrunkCache(
        trunk,
        [*sequences, *prompts],
        tuned.sha256,
        limit=int(settings.trunk_cache_gb * 1e9),
        precision=settings.trunk_cache_dtype,
        root=root,
    )
    try:
        cache.fill(tuned.tokenizer.pad_token_id)
    except OSError as error:
        raise NoTrunk(
            f"no file can be kept in {cache.folder.parent} ({error.strerror or error}); FINTUNE_CACHE names another"
        ) from None
    return cache
