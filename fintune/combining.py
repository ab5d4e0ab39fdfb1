"""Several LoRA adapters of one base model as one, weighted (PEFT's combinations), merged and proved as a single one is.

>>> export_combined(["runs/news", "runs/filings"], [0.5, 0.5], "ties", output="both").verification.changed
0
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from fintune.assembly import engine, load_base_of
from fintune.errors import ModelError, UsageError, did_you_mean
from fintune.evaluation.evaluate import predict
from fintune.export.registry import format_of
from fintune.exporting import Exported, place_of, written
from fintune.methods.protocol import merge_with_peft
from fintune.records import Prediction
from fintune.run import Run
from fintune.tasks import TASKS

if TYPE_CHECKING:
    from fintune.models import LoadedModel

How = Literal["cat", "linear", "ties", "dare_linear", "dare_ties"]
"""cat: the weighted sum of the updates, exactly; linear: of their factors, roughly; ties: Yadav et al. 2023, arXiv:2306.01708, section 3;
dare: Yu et al. 2023, arXiv:2311.03099, section 3"""
_PRUNING = ("ties", "dare_linear", "dare_ties")


def export_combined(  # noqa: PLR0913
    sources: Sequence[str | Path],
    weights: Sequence[float],
    how: str,
    *,
    output: str | Path,
    density: float = 0.5,
    dtype: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """A merged folder of several runs; task, prompt and validation texts are the first one's.

    `density`: share of the values that ties and dare keep. Raises UsageError, ModelError where runs are not of one base, task and LoRA.
    """
    runs = [Run.open(source) for source in sources]
    _need_fit(runs, weights, how, density)
    form = format_of("merged")
    precision = form.chosen(dtype)
    folder = place_of(runs[0], form, precision, output, overwrite)
    merged, expected = _combined(runs, weights, how, density)
    return written(runs[0], form, precision, folder, merged, expected)


def _need_fit(runs: Sequence[Run], weights: Sequence[float], how: str, density: float) -> None:
    if how not in get_args(How):
        raise UsageError(f"--combine {how}: unknown", hint=did_you_mean(how, list(get_args(How))))
    if len(weights) != len(runs) or len(runs) < 2:
        raise UsageError(
            f"--weights: {len(weights)} for {len(runs)} runs", hint="Give one for each, and two runs at least."
        )
    if not 0 < density <= 1:
        raise UsageError(f"--density {density:g}: must be above 0 and at most 1", hint="It is a share; 0.5 is usual.")
    configs = [run.config() for run in runs]
    bases = {run.environment().get("base_sha256") for run in runs}
    for run, config in zip(runs, configs, strict=True):
        if (
            config.method.no_merge()
            or not (run.adapter / "adapter_config.json").is_file()
            or not hasattr(config.method, "r")
        ):
            raise ModelError(
                f"{run.folder}: {config.method.name} is no LoRA that can be merged", hint="Combine runs of method lora."
            )
        if len(bases) > 1 or config.model.base != configs[0].model.base:
            raise ModelError(
                f"{run.folder}: of another base model than {runs[0].folder}", hint="Combine runs of one base model."
            )
        if config.task != configs[0].task:
            raise ModelError(
                f"{run.folder}: of another task than {runs[0].folder}", hint="Labels and prompt must be the same."
            )


def _combined(
    runs: Sequence[Run], weights: Sequence[float], how: str, density: float
) -> "tuple[LoadedModel, list[Prediction]]":
    """The merged model, and what the adapters answered on the first run's validation texts before they were merged."""
    import torch
    from peft import PeftModel

    base, config = load_base_of(runs[0], device="cpu", dtype="float32", quantization="none"), runs[0].config()
    names = [f"run{i}" for i in range(len(runs))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)  # dare draws what it drops
        tuned: Any = PeftModel.from_pretrained(base.model, runs[0].adapter, adapter_name=names[0])
        for name, run in zip(names[1:], runs[1:], strict=True):
            tuned.load_adapter(run.adapter, adapter_name=name)
        more = {"density": density} if how in _PRUNING else {}
        try:
            tuned.add_weighted_adapter(names, list(weights), "combined", combination_type=how, **more)
        except ValueError as error:
            raise ModelError(
                f"--combine {how}: {str(error).partition(chr(10))[0]}", hint="Use --combine cat."
            ) from None
    tuned.set_adapter("combined")
    loaded = replace(base, model=tuned.eval())
    known = runs[0].predictions("validation")
    task = TASKS[config.task.name].build(config.task)
    found, _ = predict(engine(config, loaded), task, [p.text for p in known], [p.id for p in known], stage="combine")
    expected = [replace(p, gold=k.gold) for p, k in zip(found, known, strict=True)]
    return replace(base, model=merge_with_peft(tuned).eval()), expected
