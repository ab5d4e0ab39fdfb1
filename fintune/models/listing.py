"""The base models that can be used at once, without a network."""

from pathlib import Path

from fintune.models.embedded import EMBEDDED, LICENSE, Embedded, EmbeddedState, state


def models_at_hand() -> list[dict[str, str]]:
    """Return the embedded models and every hub model already in the local cache: reference, kind, size, license, state."""
    return [_embedded(reference, model, state(reference)) for reference, model in EMBEDDED.items()] + [
        _row(name, "hub model", size, "see its card", "cached") for name, size in _cached()
    ]


def _embedded(reference: str, model: Embedded, status: EmbeddedState) -> dict[str, str]:
    obtainable = "installed, converted at first use" if status.installed else "not installed"
    ready = "converted" if status.bytes else obtainable
    return _row(reference, model.what, status.bytes or model.bytes, LICENSE, ready)


def _cached() -> list[tuple[str, int]]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.constants import HF_HUB_CACHE

    if not Path(HF_HUB_CACHE).is_dir():
        return []
    return sorted((repo.repo_id, repo.size_on_disk) for repo in scan_cache_dir().repos if repo.repo_type == "model")


def _row(base: str, what: str, size: int, license: str, ready: str) -> dict[str, str]:
    return {"model.base": base, "what": what, "size": f"{size / 1e9:.1f} GB", "license": license, "state": ready}
