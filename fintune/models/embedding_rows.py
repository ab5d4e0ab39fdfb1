"""A tokenizer beside its model's embedding: a token that has no row there cannot be read.

Example:
    fit_rows("models/llama", tokenizer, rows=32000)
"""

from typing import TYPE_CHECKING

from fintune.errors import ModelError
from fintune.models.letters import Letters

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def fit_rows(reference: str, tokenizer: "PreTrainedTokenizerBase", rows: int | None) -> None:
    """Have padding done with the end token where there is none, or none with a row. Raises ModelError for other tokens without rows.

    Control tokens that nothing reaches (those of images in a model of texts) may lack theirs.
    """
    beyond = {} if rows is None else {token: i for token, i in tokenizer.get_vocab().items() if i >= rows}
    if tokenizer.pad_token_id is None or tokenizer.pad_token in beyond:
        tokenizer.pad_token = tokenizer.eos_token
    if not beyond:
        return
    letters = Letters(tokenizer)
    used = {tokenizer.eos_token_id, *(i for ids in letters.frame for i in ids)}
    reached = sorted((i, token) for token, i in beyond.items() if token not in letters.control or i in used)
    if reached:
        last, first = max(beyond.values()), reached[0][1]
        raise ModelError(
            f"{reference}: the tokenizer numbers tokens up to {last}, the model's embedding has {rows} rows: none for '{first}'",
            hint="Use the tokenizer that came with the model, or enlarge the embedding (resize_token_embeddings) and save both.",
        )
