"""A run's cache of trunk states, filled: what its settings and its texts make of it."""

from collections.abc import Sequence
from pathlib import Path

from fintune.models import LoadedModel
from fintune.records import Encoded
from fintune.sections import TrainSection
from fintune.training.batching import read
from fintune.trunk.cache import TrunkCache
from fintune.trunk.finding import NoTrunk, Trunk


def open_cache(
    trunk: Trunk,
    tuned: LoadedModel,
    encoded: Sequence[Encoded],
    prompts: Sequence[Sequence[int]],
    settings: TrainSection,
    root: Path | None = None,
) -> TrunkCache:
    """The cache of a training part and of the prompts to be judged.

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
