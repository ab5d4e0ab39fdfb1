"""Eight threads that share one engine get the answers one thread gets, from every engine; the same of loading and of scoring."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch

import fintune
from fintune.errors import ModelError
from fintune.evaluation.score import score_part
from fintune.export.export import export
from fintune.export.registry import FORMATS
from fintune.inference.attribution import attribute
from fintune.inference.engines.shared_prefix import FEWEST
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.inference.load import load_tuned
from fintune.inference.predictor import Predictor, examples_of
from fintune.methods import prefix_attention
from fintune.models import load_model
from fintune.models.shortcuts import TrunkCache, find_trunk
from fintune.models.shortcuts.shortcuts import Shortcuts
from fintune.runs.run import Run
from fintune.tasks import TASKS
from tests.tiny import config_for, tiny_rows

THREADS = 8
TEXTS = [row["text"] for row in tiny_rows(48)]
CALLS = [TEXTS[i::24][: 1 + i % 2] + ["short +"] * (i % 3) for i in range(24)]
"""of different lengths and numbers, so that a batch does not fit another's mask"""
BEGINNING = "Is what follows good, bad or neither? "
ANSWERS = {"negative": "a", "neutral": "b", "positive": "c"}


@contextmanager
def haste() -> Iterator[None]:
    """Inside the block threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def together(ask: Callable[[Any], Any], calls: Sequence[Any]) -> list[Any]:
    """The answers, asked for by THREADS threads that begin at once; errors are answers too."""
    start = Barrier(THREADS)

    def answer(call: Any) -> Any:
        try:
            return ask(call)
        except Exception as error:
            return repr(error)

    with haste(), ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: start.wait(), range(THREADS)))
        return list(pool.map(answer, calls))


def assert_same(predictor: Predictor) -> None:
    """Labels, probabilities and explanations, to the bit."""

    def ask(texts: list[str]) -> Any:
        return [(p.answer, dict(p.probabilities)) for p in predictor(texts)]

    def explain(texts: list[str]) -> Any:
        return attribute(predictor.engine, predictor.task, examples_of(predictor.task, texts[:1]))

    for what, calls in ((ask, CALLS), (explain, CALLS[:6])):
        assert together(what, calls) == [what(texts) for texts in calls]


@pytest.mark.parametrize("beginning", ["", BEGINNING], ids=["", "beginning"])
@pytest.mark.parametrize("answers", [{}, ANSWERS], ids=["whole", "first"])
def test_a_model_as_it_is(tiny_model: Path, answers: dict[str, str], beginning: str) -> None:
    task = {"name": "sentiment", "prompt": f"{beginning}{{text}} {{answer}}", "answers": answers}
    assert not beginning or len(beginning) > FEWEST
    assert_same(fintune.load(tiny_model, task=task, device="cpu"))


@pytest.fixture(scope="module", params=["causal", "seq2seq"])
def run(request: pytest.FixtureRequest, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("threads")
    if request.param == "causal":
        return Run(Path(shutil.copytree(request.getfixturevalue("trained").folder, folder / "run")))
    config = config_for(request.getfixturevalue("tiny_seq2seq"), rows_file, folder)
    return fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]"])


@pytest.mark.parametrize("name", ["torch", "int8", "ctranslate2", "onnx"])
def test_every_engine_of_a_run(run: Run, name: str) -> None:
    if name in FORMATS:
        family = load_model(run.config().model.base, device="cpu").model.config.model_type
        if family not in (FORMATS[name].families or [family]):
            with pytest.raises(ModelError, match=f"--format {name}: is for "):
                export(run, name, dtype="float32")
            return
        export(run, name, dtype="float32")
    assert_same(fintune.load(run, engine_name=name))


def test_a_method_that_cannot_be_merged(tiny_model: Path, rows_file: Path, tmp_path: Path) -> None:
    config = config_for(tiny_model, rows_file, tmp_path) | {"method": {"name": "prefix", "num_virtual_tokens": 3}}
    assert_same(
        fintune.load(fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]", "evaluation.test=false"]))
    )


def test_states_of_a_trunk(tiny_causal: Path, rows_file: Path, tmp_path: Path) -> None:
    config = config_for(tiny_causal, rows_file, tmp_path)
    config["method"]["layers"] = "top:1"
    config["task"]["answers"] = ANSWERS
    run = fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]", "evaluation.test=false"])
    loaded, task = load_tuned(run), TASKS["sentiment"].build(run.config().task)
    plain = TorchEngine(loaded, max_length=96)
    prompts, candidates = [task.prompt(example) for example in examples_of(task, TEXTS)], list(task.choices().values())
    ids, _ = plain._encoder.encode_prompts(prompts, reserve=1)
    for parameter in loaded.model.parameters():
        parameter.requires_grad_(False)
    for parameter in list(loaded.model.get_base_model().get_decoder().parameters())[-1:]:
        parameter.requires_grad_(True)
    cache = TrunkCache(find_trunk(loaded.model, loaded.kind), ids, loaded.sha256, limit=10**9)
    cache.fill(loaded.tokenizer.pad_token_id)
    rows = torch.tensor([plain._encoder.answer_ids(candidate, "")[0] for candidate in candidates])
    assert_same(Predictor(TorchEngine(loaded, max_length=96, shortcuts=Shortcuts(rows=rows, trunk=cache)), task))


def test_attention_is_watched_by_the_thread_that_asked(tiny_causal: Path) -> None:
    models = [load_model(str(tiny_causal), device="cpu").model for _ in range(THREADS)]
    calls = [(model, torch.tensor([[257, *range(1, 2 + number % 5)]])) for number, model in enumerate(models)]

    def ask(call: tuple[Any, torch.Tensor]) -> list[list[tuple[int, ...]]]:
        return [[tuple(site.keys.shape) for site in prefix_attention.attention_sites(*call)] for _ in range(4)]

    assert together(ask, calls) == [ask(call) for call in calls]


def test_runs_are_opened_side_by_side(run: Run) -> None:
    """transformers exchanges functions of torch while it loads, and would leave them so."""
    plain, expected = torch.linspace, fintune.load(run)(TEXTS)
    assert together(lambda source: fintune.load(source)(TEXTS), [run] * THREADS) == [expected] * THREADS
    assert torch.linspace is plain


def test_parts_are_scored_side_by_side_and_all_are_stored(run: Run) -> None:
    parts = ["train", "validation", "test"]
    before = {part: score_part(run, part).scores for part in parts}
    stored = run.scores()
    run.write_scores({}, {}, run.baselines())
    assert together(lambda part: score_part(run, part).scores, parts * 2) == [before[part] for part in parts * 2]
    assert run.scores() == stored == before
