"""The base models that can be used at once, without a network."""

from pathlib import Path

from fintune.models.embedded import LICENCE, state


def models_at_hand() -> list[dict[str, str]]:
    """The embedded model and every hub model already in the local cache: reference, kind, size, licence, state."""
    embedded = state()
    ready = (
        "converted"
        if embedded.bytes
        else "installed, converted at first use"
        if embedded.installed
        else "not installed"
    )
    size = f"{(embedded.bytes or 1_106_000_000) / 1e9:.1f} GB"
    rows = [_row("embedded", "Gemma 3 270M, causal", size, LICENCE, ready)]
    return rows + [
        _row(name, "hub model", f"{size / 1e9:.1f} GB", "see its card", "cached") for name, size in _cached()
    ]


def _cached() -> list[tuple[str, int]]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.constants import HF_HUB_CACHE

    if not Path(HF_HUB_CACHE).is_dir():
        return []
    return sorted((repo.repo_id, repo.size_on_disk) for repo in scan_cache_dir().repos if repo.repo_type == "model")


def _row(base: str, what: str, size: str, licence: str, ready: str) -> dict[str, str]:
    return {"model.base": base, "what": what, "size": size, "licence": licence, "state": ready}
