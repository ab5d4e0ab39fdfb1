"""The tiny models, the byte tokenizer and the tiny rows that every test shares; no test here needs a network."""

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fintune.cli import app, output
from fintune.methods import METHODS
from fintune.tasks import TASKS
from tests.tiny import byte_tokenizer, config_for, tiny_rows

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["OMP_NUM_THREADS"] = "1"  # two threads on a matrix of 32 x 32 only wait for each other

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PHRASEBANK = SHARED / "financial_phrasebank" / "Sentences_AllAgree.txt"


_left_out = 0
"""modules loaded when garbage was last told to leave them out"""


def pytest_runtest_teardown() -> None:
    """Modules stay for good: left out of the search for garbage, which every training does twice, a third of its time here."""
    global _left_out  # noqa: PLW0603
    if len(sys.modules) > _left_out + 300:
        gc.collect()
        gc.freeze()
        _left_out = len(sys.modules)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every attempt to connect or to look a name up raises, and fails the test even when somebody swallows that."""
    attempts: list[Any] = []
    original = socket.socket.connect

    def refuse(*arguments: Any, **_: Any) -> None:
        attempts.append(arguments)
        raise OSError(f"a test tried to reach {arguments}")

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None):  # a process of this machine (processes.py) is no network
            refuse(self, address)
        original(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield attempts
    assert not attempts


@pytest.fixture(autouse=True)
def own_trunk_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States of the tests' tiny models do not belong among the user's."""
    monkeypatch.setenv("FINTUNE_TRUNK_CACHE", str(tmp_path / "trunk"))


@pytest.fixture(autouse=True)
def own_comparisons(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was found of the tests' runs does not belong among the user's either; each test compares anew."""
    folder = tmp_path_factory.mktemp("compared")
    monkeypatch.setattr("fintune.inference.proof.cache_folder", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def integers_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines are tested alike on every CPU; on tiny models the slowest products of integers do."""
    monkeypatch.setattr("fintune.inference.engines.registry.int8_gain", lambda: 2.0)


@pytest.fixture
def phrasebank() -> Path:
    if not PHRASEBANK.is_file():
        pytest.skip("shared data are not here")
    return PHRASEBANK


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows()))
    return path


def _save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Gemma 3 of two blocks, one with a sliding window."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=259, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=256, sliding_window=128,
        layer_types=["sliding_attention", "full_attention"], pad_token_id=256, bos_token_id=257, eos_token_id=258,
        initializer_range=0.1, query_pre_attn_scalar=16,
    )  # fmt: skip
    return _save(Gemma3ForCausalLM(config), tmp_path_factory.mktemp("models") / "causal")


@pytest.fixture(scope="session")
def tiny_seq2seq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random mT5 of two blocks."""
    import torch
    from transformers import MT5Config, MT5ForConditionalGeneration

    torch.manual_seed(0)
    config = MT5Config(
        vocab_size=259, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=2, dropout_rate=0.0,
        pad_token_id=256, eos_token_id=258, decoder_start_token_id=256,
    )  # fmt: skip
    return _save(MT5ForConditionalGeneration(config), tmp_path_factory.mktemp("models") / "seq2seq")


@pytest.fixture(params=["causal", "seq2seq"])
def tiny_model(request: pytest.FixtureRequest) -> Path:
    """Each of the tiny models in turn."""
    path: Path = request.getfixturevalue(f"tiny_{request.param}")
    return path


@pytest.fixture
def tiny_config(tiny_causal: Path, rows_file: Path, tmp_path: Path) -> dict[str, Any]:
    """A run that takes about two seconds."""
    return config_for(tiny_causal, rows_file, tmp_path)


@pytest.fixture(scope="session")
def trained(tiny_causal: Path, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run of the tiny causal model; tests must not change it."""
    import fintune

    return fintune.train(config_for(tiny_causal, rows_file, tmp_path_factory.mktemp("trained")))


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@contextmanager
def handlers_kept() -> Iterator[None]:
    """A command heeds signals until its process ends, which here is everybody's."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@pytest.fixture
def fin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `fintune ARGUMENTS` in this process."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["fintune", *map(str, arguments)])
        monkeypatch.setattr(output, "_debug", False)
        monkeypatch.setattr(output.err, "width", 400)
        monkeypatch.setattr(output.out, "width", 200)
        with pytest.raises(SystemExit) as ended, handlers_kept():
            app.main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def registries_kept() -> Iterator[None]:
    """What files of one's own have registered is forgotten afterwards."""
    with METHODS.preserved(), TASKS.preserved():
        yield


@pytest.fixture
def config_file(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(tiny_config))  # JSON is YAML
    return path
