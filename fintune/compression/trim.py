"""A smaller model for one task: with the vocabulary its texts, labels and template need.

Example:
    trim("run.yaml", output="gemma-trimmed").parameters
    # (268098176, 109000000)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fintune.config.load import load
from fintune.config.prepare import Prepared, prepare
from fintune.config.run_config import RunConfig
from fintune.errors import DataError, RunError
from fintune.inference.load import load_base
from fintune.records import Prompt
from fintune.runtime.files import need_place, replacing_folder
from fintune.runtime.progress import tell
from fintune.runtime.untrusted import LARGEST_LIST, read_text
from fintune.tasks.protocol import blank

if TYPE_CHECKING:
    from fintune.compression.trimmed_folder import KeptTokens
    from fintune.models import LoadedModel

    _Material: TypeAlias = tuple[Sequence[Prompt], Sequence[Sequence[int]]]

TRIM_RECORD = "trim.json"


@dataclass(frozen=True)
class Trimmed:
    """What was kept of a model; `verified` are the largest differences found."""

    base: str
    folder: str
    tokens: tuple[int, int]
    """Counts before and after."""
    parameters: tuple[int, int]
    bytes: int
    """Size of the weights' files."""
    verified: Mapping[str, float]

    def record(self) -> dict[str, object]:
        """Return the record for programs, and for trim.json."""
        return asdict(self)


def trim(
    source: str | Path | Mapping[str, object] | RunConfig,
    overrides: Sequence[str] = (),
    *,
    output: str | Path,
    corpus: Sequence[str] = (),
    overwrite: bool = False,
) -> Trimmed:
    """Write the config's base model with the tokens of its data, template, labels, and of the text files `corpus`.

    Nothing is written unless the result is proved equal on those texts: same tokens, same logits. Raises ModelError,
    RunError when the folder is there already.
    """
    from fintune.compression.trimmed_folder import choose, read_whole

    folder = new_folder(output, overwrite)
    lines = [line for path in corpus for line in _lines(path)]
    prepared = prepare(load(source, overrides))
    texts = [*_texts(prepared), *(Prompt.around("", line, "") for line in lines)]
    loaded = load_base(prepared.config)
    sequences = read_whole(loaded, texts)
    kept = choose(loaded, sequences)
    before = len(kept.rules.ids)
    tell("trim", f"{len(kept.ids):,} of {before:,} tokens are needed by {len(texts):,} texts")
    with replacing_folder(folder, overwrite=overwrite) as place:
        made = _made(prepared.config, loaded, kept, (texts, sequences), place, folder)
        (place / TRIM_RECORD).write_text(json.dumps(made.record(), indent=1))
    return made


def new_folder(output: str | Path, overwrite: bool) -> Path:
    """Return the folder to be made. Raises RunError when something else than a model made so is there."""
    folder = Path(output).expanduser().absolute()
    need_place(folder / "config.json")
    if folder.exists() and not (overwrite and (folder / TRIM_RECORD).is_file()):
        raise RunError(
            f"{folder}: is there already",
            hint="Name another folder, or give --overwrite (only a model made so is replaced).",
        )
    return folder


def _made(
    config: RunConfig, loaded: "LoadedModel", kept: "KeptTokens", material: "_Material", place: Path, folder: Path
) -> Trimmed:
    from fintune.compression.trimmed_folder import logits_of, prove, write
    from fintune.models import load_model

    texts, sequences = material
    logits, (_, whole) = logits_of(loaded, sequences), loaded.parameters()
    write(loaded, kept, place)
    made = load_model(str(place), dtype=config.model.dtype, device=config.model.device)
    return Trimmed(
        base=config.model.base,
        folder=str(folder),
        tokens=(len(kept.rules.ids), len(kept.ids)),
        parameters=(whole, made.parameters()[1]),
        bytes=sum(file.stat().st_size for file in place.glob("*.safetensors")),
        verified=prove(made, kept, texts, sequences, logits),
    )


def _texts(prepared: Prepared) -> list[Prompt]:
    """Collect every prompt of the data, and each possible answer: behind one of them, and by itself."""
    task, examples = prepared.task, [e for part in prepared.splits.parts.values() for e in part]
    prompts, dot = [task.prompt(e) for e in examples], task.prompt(blank(task, "."))
    choices = ((task.choices(e) or {}).values() for e in examples)
    said = list(dict.fromkeys([*(answer for of in choices for answer in of), *(task.target(e) for e in examples)]))
    answers = [Prompt.around("", answer, "") for answer in said]
    behind = [replace(answer, shown=(dot,)) for answer in answers]
    return [*prompts, *answers, *behind, *(Prompt.around("", answer.strip(), "") for answer in said)]


def _lines(path: str) -> list[str]:
    try:
        text = read_text(Path(path).expanduser(), most=LARGEST_LIST)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", hint="Name a text file, a text a line.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text", hint="Save it as UTF-8.") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}", hint="Name a smaller one.") from None
    return [line for line in text.splitlines() if line.strip()]
