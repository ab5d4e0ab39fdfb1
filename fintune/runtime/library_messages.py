"""What libraries say where neither the type of an error nor a number in it tells what has happened: the only words we compare.

Each is written down once, with the version it was read in; a library that changes its words needs a change here alone.

>>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
True
"""

import re

_TORCH_OUT_OF_MEMORY = re.compile("[Cc]an(not|'t) allocate memory|out of memory")
"""What torch 2.13 says in a RuntimeError of its own: its CPU allocator, and a GPU's driver."""
_LOADER_OUT_OF_MEMORY = "failed to map segment"
"""What glibc's loader says in an ImportError, of a library's own code under `ulimit -v`."""
_TORCH_CANNOT_WRITE = re.compile("inline_container|iostream")
"""What torch 2.13 names in a RuntimeError when `torch.save` cannot write: its zip writer's source file, or C++'s streams."""
_RUST_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How Rust's standard library ends what safetensors 0.8 and tokenizers 0.23 say of the system's refusals, with the errno."""
_JSON_OPEN_STRING = "Unterminated string"
"""How the standard library's json begins what it says of a string that has no end."""
_YAML_ESCAPE = re.compile("unknown escape character|expected escape sequence")
"""What ruamel.yaml 0.19 says of a backslash in double quotes."""
_YAML_ADVICE = ", if necessary"
"""Where ruamel.yaml's advice to Python programmers begins."""

UNTIED = "Input and output embeddings are no longer tied|Model with `tie_word_embeddings=True`"
"""PEFT at merging: what was tied has been untied by then (methods/protocol.py)."""
TIED = ".*tie_word_embeddings"
"""PEFT at attaching LoRA: what would break is refused just behind it."""
TIED_MODEL = "Model has `tie_word_embeddings=True`"
"""PEFT at attaching and loading: methods refuse what it would break."""
UNKNOWN_LAYER = "Unsupported layer type"
"""PEFT at attaching: norms, which it does not know, work."""
FAN_IN = "fan_in_fan_out is set to"
"""PEFT at attaching: it puts this right itself."""
RANK_PATTERN = "The following rank_pattern keys"
"""PEFT at loading: AdaLoRA's own, which it writes itself."""
INVALID_SHAPE = "Adapter .* have invalid shape"
"""PEFT at saving and loading: layers that AdaLoRA has brought to rank 0."""
RANK_STABILIZED = "Using Rank-Stabilized LoRA"
"""PEFT at attaching LoRA: what is saved of it is in plain terms."""
PLAIN_START = "the following layers were init"
"""PEFT's EVA: embeddings, which it has no directions for, keep the plain start."""
PAST_KEY_VALUES = "`past_key_values` is deprecated"
"""Transformers in a forward pass of PEFT, which gives a cache its former name."""

CAST_INPUTS = "MatMul8bitLt: inputs will be cast"
"""From bitsandbytes at every product in 8 bits on a CPU: that is what 8 bits are."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, which torch says in a RuntimeError of its own on CPU and on GPU."""
    if isinstance(error, RuntimeError):
        return _TORCH_OUT_OF_MEMORY.search(str(error)) is not None
    if isinstance(error, ImportError):
        return _LOADER_OUT_OF_MEMORY in str(error)
    return isinstance(error, MemoryError)


def system_error(message: str) -> int | None:
    """Return the errno that a library written in Rust names in its message; None where it names none."""
    match = _RUST_OS_ERROR.search(message)
    return int(match[1]) if match else None


def torch_cannot_write(error: BaseException) -> bool:
    """Whether torch reports that a file could not be written."""
    return isinstance(error, RuntimeError) and _TORCH_CANNOT_WRITE.search(str(error)) is not None


def is_open_string(error: ValueError | RecursionError) -> bool:
    """Whether json met a string without an end."""
    return str(error).startswith(_JSON_OPEN_STRING)


def yaml_problem(problem: str) -> tuple[str, bool]:
    """Return what ruamel.yaml complains of without its advice, and whether it is a backslash in double quotes."""
    return problem.partition(_YAML_ADVICE)[0], _YAML_ESCAPE.search(problem) is not None
