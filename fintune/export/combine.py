"""Several LoRA adapters of one base model as one, weighted (PEFT's combinations), merged and proved as a single one is.

Example:
    export_combined(["runs/news", "runs/filings"], [0.5, 0.5], "ties", output="both").verification.changed
    # 0
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from fintune.errors import ModelError, UsageError, did_you_mean
from fintune.export.export import Exported, place_of, written
from fintune.export.merge import Expected, ModelToWrite, answers, checksums, need_change, source
from fintune.export.names import How
from fintune.export.registry import format_of
from fintune.inference.foreign import is_adapter
from fintune.inference.load import load_base_of
from fintune.inference.proof import stored_answers
from fintune.methods import METHODS
from fintune.methods.protocol import merge_with_peft
from fintune.models.folder import loading_errors, read_json
from fintune.models.load import weight_shapes
from fintune.models.references import ADAPTER_CONFIG
from fintune.runs.adapter_store import place_of as place_of_kept
from fintune.runs.run import Run

if TYPE_CHECKING:
    from peft import PeftModel

_MOST = 1000
"""Largest weight of an adapter, far beyond any of use."""
_PRUNING = ("ties", "dare_linear", "dare_ties")


def export_combined(  # noqa: PLR0913
    sources: Sequence[str | Path],
    weights: Sequence[float],
    how: str,
    *,
    output: str | Path,
    density: float = 0.5,
    dtype: str | None = None,
    allow_loss: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Return a merged folder of several runs; task, prompt and validation texts are the first one's.

    `density`: share of the values that ties and dare keep. Raises UsageError, ModelError where runs are not of one base, task and LoRA.
    """
    places = [place_of_kept(source) for source in sources]
    if foreign := [place for place in places if is_adapter(place)]:
        raise ModelError(
            f"{foreign[0]}: an adapter trained elsewhere, and only runs are combined",
            hint="Merge it alone, with --data.",
        )
    runs = [Run.open(place) for place in places]
    _need_fit(runs, weights, how, density)
    form = format_of("merged")
    precision = form.chosen(dtype)
    folder = place_of(runs[0], form, precision, output, overwrite)
    return written(
        runs[0], form, precision, folder, lambda: _combined(runs, weights, how, density),
        allow_loss=allow_loss, overwrite=overwrite,
    )  # fmt: skip


def _need_fit(runs: Sequence[Run], weights: Sequence[float], how: str, density: float) -> None:
    if how not in get_args(How):
        raise UsageError(f"--combine {how}: unknown", hint=did_you_mean(how, list(get_args(How))))
    if len(weights) != len(runs) or len(runs) < 2:
        raise UsageError(
            f"--weights: {len(weights)} for {len(runs)} runs", hint="Give one for each, and two runs at least."
        )
    if not any(weights) or not all(abs(weight) <= _MOST for weight in weights):
        problem = "nothing to add" if not any(weights) else f"each must be a number from -{_MOST} to {_MOST}"
        raise UsageError(f"--weights {','.join(map(str, weights))}: {problem}", hint="Such as: --weights 0.7,0.3")
    if not 0 < density <= 1:
        raise UsageError(f"--density {density:g}: must be above 0 and at most 1", hint="It is a share; 0.5 is usual.")
    first = runs[0]
    for run in runs:
        if not _is_plain(run):
            raise ModelError(
                f"{run.folder}: {run.config().method.name} is no plain LoRA of linear layers",
                hint="Combine runs of method lora.",
            )
        if run.environment().get("base_sha256") != first.environment().get("base_sha256"):
            raise ModelError(
                f"{run.folder}: of another base model than {first.folder}", hint="Combine runs of one base model."
            )
        if run.config().task != first.config().task:
            raise ModelError(
                f"{run.folder}: of another task than {first.folder}", hint="Labels and prompt must be the same."
            )


def _is_plain(run: Run) -> bool:
    """Return whether all there is to a run are two factors a layer: what PEFT's combinations know."""
    if (
        run.config().method.no_merge()
        or METHODS[run.config().method.name].only
        or not (run.adapter / ADAPTER_CONFIG).is_file()
    ):
        return False
    settings = read_json(run.adapter / ADAPTER_CONFIG)
    more = ("use_dora", "modules_to_save", "trainable_token_indices")
    names = weight_shapes(run.adapter / "adapter_model.safetensors")
    factors = all(".lora_A." in name or ".lora_B." in name for name in names)
    return settings.get("peft_type") == "LORA" and factors and not any(settings.get(name) for name in more)


def _combined(runs: Sequence[Run], weights: Sequence[float], how: str, density: float) -> ModelToWrite:
    """Return the merged model, and what the adapters answered together on the first run's validation texts before they were merged."""
    import torch
    from peft import PeftModel

    base = load_base_of(runs[0], device="cpu", in_full=True)
    names, before = [f"run{i}" for i in range(len(runs))], checksums(base.model)
    with torch.random.fork_rng(devices=[]), loading_errors(str(runs[0].folder)):
        torch.manual_seed(runs[0].config().train.seed)  # dare draws what it drops
        tuned = PeftModel.from_pretrained(base.model, runs[0].adapter, adapter_name=names[0])
        for name, run in zip(names[1:], runs[1:], strict=True):
            tuned.load_adapter(run.adapter, adapter_name=name)
        for name in names:
            _plain_scaling(tuned, name)
        options = {"density": density} if how in _PRUNING else {}
        try:
            tuned.add_weighted_adapter(names, list(weights), "combined", combination_type=how, **options)
        except ValueError as error:
            raise ModelError(
                f"--combine {how}: {str(error).partition(chr(10))[0]}", hint="Use --combine cat."
            ) from None
    _need_everywhere(tuned, names)
    tuned.set_adapter("combined")
    expected = answers(
        runs[0].config(), replace(base, model=tuned.eval()), [p.example for p in stored_answers(runs[0])]
    )
    model = merge_with_peft(tuned)
    need_change(model, before, "--weights: together the adapters change")
    sources = [source(run, weight) for run, weight in zip(runs, weights, strict=True)]
    for one in sources:
        one["combined"] = how
        if how in _PRUNING:
            one["density"] = density
    together = Expected(answers=expected, sources=sources, base_sha256=base.sha256)
    return ModelToWrite(loaded=replace(base, model=model), expected=together)


def _need_everywhere(tuned: "PeftModel", names: Sequence[str]) -> None:
    """Refuse adapters of different layers: PEFT combines those of the first, and drops what others changed. Raises ModelError."""
    for layer, module in tuned.named_modules():
        held = getattr(module, "lora_A", {})
        if "combined" not in held and any(name in held for name in names):
            raise ModelError(
                f"{layer.removeprefix('base_model.model.')}: not every adapter is on this layer",
                hint="Combine runs with the same method.layers and target_modules.",
            )


def _plain_scaling(tuned: "PeftModel", name: str) -> None:
    """Have the settings scale by alpha / rank too: PEFT copies the first adapter's, and would scale a rank-stabilized one twice."""
    from peft import LoraConfig

    settings = tuned.peft_config[name]
    assert isinstance(settings, LoraConfig)
    settings.use_rslora = False
