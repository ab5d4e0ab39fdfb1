"""tokenizer.json with fewer tokens and new ids; nothing else of it changes."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from fintune.compression.vocabulary import Rules


def renumbered(rules: Rules, kept: set[str]) -> dict[int, int]:
    """Return the new id of each kept old one; the order stays."""
    return {old: new for new, old in enumerate(sorted(rules.ids[token] for token in kept))}


def trimmed(rules: Rules, kept: set[str], ids: Mapping[int, int]) -> str:
    """Return the content of the trimmed tokenizer.json."""
    content = copy.deepcopy(dict(rules.content))
    model = content["model"]
    if rules.kind == "BPE":
        model["vocab"] = {token: ids[i] for token, i in model["vocab"].items() if token in kept}
        model["merges"] = [list(m) for m in rules.merges if {*m, m[0] + m[1]} <= kept]
    else:
        model["vocab"] = [pair for pair in model["vocab"] if pair[0] in kept]
        model["unk_id"] = ids[model["unk_id"]] if model.get("unk_id") is not None else None
    content["added_tokens"] = [t | {"id": ids[t["id"]]} for t in content["added_tokens"] if t["content"] in kept]
    if content.get("post_processor"):
        content["post_processor"] = _processor(content["post_processor"], ids)
    return json.dumps(content, ensure_ascii=False)


def _processor(rules: Any, ids: Mapping[int, int]) -> Any:
    """Renumber the special tokens of a template, or (text, id) pairs of BERT's and RoBERTa's kind."""
    if isinstance(rules, list):
        return [_processor(part, ids) for part in rules]
    if not isinstance(rules, dict):
        return rules
    changed = {name: _processor(part, ids) for name, part in rules.items()}
    if "ids" in changed and "tokens" in changed:
        changed["ids"] = [ids[i] for i in rules["ids"]]
    for name in ("sep", "cls"):
        if isinstance(rules.get(name), list):
            changed[name] = [rules[name][0], ids[rules[name][1]]]
    return changed
