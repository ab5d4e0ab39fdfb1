"""Which epoch to keep: six rules scored on the test part of runs that have all epochs' answers, averaged adapters among them.

python -m benchmarks.epoch_rules --data allagree=.../Sentences_AllAgree.txt gold=.../gold.csv --rows 700 --seeds 5 \\
  --set train.epochs=4 gold:data.label_column='Price Sentiment' --json epoch_rules.json

A seed is one of the rows that are drawn, the split, the order and the start. Rules: `metric` (best on validation by the task's first
metric, the smaller loss of equals), `loss` (smallest validation loss), `last`, `one-se` (the latest whose metric lies within one
standard error of the best), `mean-all` and `mean-2` (parameters averaged over all epochs, over the last two). None sees the test part.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fintune.config.load import load
from fintune.config.prepare import Prepared
from fintune.data.load import gather
from fintune.evaluation.evaluate import Evaluation, evaluate
from fintune.inference.load import engine
from fintune.tasks.lookup import metric_of
from fintune.training import train as training

RULES = ("metric", "loss", "last", "one-se", "mean-all", "mean-2")


@dataclass(frozen=True)
class Epoch:
    """What parameters of one epoch, or averaged ones, are worth; the standard error is that of validation."""

    name: str
    validation: float
    error: float
    loss: float
    test: float


class Recorder:
    """Stands between training and what judges an epoch: scores test too, and at the end averaged parameters."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.found = epochs, list[Epoch]()
        self._states: list[dict[str, torch.Tensor]] = []

    def wrap(self, original: Any) -> Any:
        """Return `training._hooks` with this in it."""

        def hooks(prepared: Prepared, tuned: Any, run: Any, shortcuts: Any) -> Any:
            made = original(prepared, tuned, run, shortcuts)
            inner, running = made.judge, engine(prepared.config, tuned, shortcuts)

            def judge(epoch: int) -> Any:
                judged = inner(epoch)
                trained = {n: p for n, p in tuned.model.named_parameters() if p.requires_grad}
                self._states.append({n: p.detach().clone() for n, p in trained.items()})
                self.found.append(_scored(f"epoch {epoch}", prepared, running))
                if epoch == self.epochs:
                    for name, states in (("mean-all", self._states), ("mean-2", self._states[-2:])):
                        _fill(trained, {n: torch.stack([s[n] for s in states]).mean(dim=0) for n in trained})
                        self.found.append(_scored(name, prepared, running))
                    _fill(trained, self._states[-1])
                return judged

            return type(made)(**{**vars(made), "judge": judge})

        return hooks


@torch.no_grad()
def _fill(parameters: dict[str, torch.nn.Parameter], values: dict[str, torch.Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])


def _scored(name: str, prepared: Prepared, running: Any) -> Epoch:
    metric = metric_of(prepared.task.headline[0])
    parts = [evaluate(running, prepared.task, prepared.splits[part], resamples=200) for part in ("validation", "test")]
    scores, test = parts[0].scores, parts[1].scores
    error = _standard_error(parts[0], prepared, metric.name)
    return Epoch(
        name,
        metric.gain(scores[metric.name].value),
        error,
        scores["answer_loss"].value,
        metric.gain(test[metric.name].value),
    )


def _standard_error(evaluation: Evaluation, prepared: Prepared, metric: str) -> float:
    from fintune.tasks.metrics import bootstrap_weights

    weights = bootstrap_weights(len(evaluation.predictions), 200)
    return float(np.std(prepared.task.score(evaluation.predictions, weights)[metric][1:]))


def chosen(found: Sequence[Epoch]) -> dict[str, Epoch]:
    """Return what each rule keeps."""
    epochs = [one for one in found if one.name.startswith("epoch")]
    best = max(epochs, key=lambda one: (one.validation, -one.loss))
    near = [one for one in epochs if one.validation >= best.validation - best.error]
    averaged = {one.name: one for one in found if one.name.startswith("mean")}
    return {
        "metric": best,
        "loss": min(epochs, key=lambda one: one.loss),
        "last": epochs[-1],
        "one-se": near[-1],
        **averaged,
    }


def draw(example: str, settings: Sequence[str], rows: int, seed: int, target: Path) -> list[str]:
    """Write so many rows of a data set as JSON lines and return the settings that read them."""
    config = load(example, settings)
    examples = [e for part in gather(config.data, config.build_task()).parts.values() for e in part]
    chosen = np.random.default_rng(seed).permutation(len(examples))[:rows]
    lines = [json.dumps({"text": examples[i].text, "label": examples[i].target}, ensure_ascii=False) for i in chosen]
    target.write_text("\n".join(lines), encoding="utf-8")
    plain = {"path": target, "format": "jsonl", "label_map": "{}", "text_column": "text", "label_column": "label"}
    return [f"data.{name}={value}" for name, value in plain.items()]


def measure(data: str, path: str, seed: int, sets: Sequence[str], given: argparse.Namespace) -> dict[str, Any]:
    """Train once and return what every epoch is worth, and every rule."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [
            f"data.path={path}", f"output={folder}", f"name={data}", f"train.seed={seed}", f"data.split.seed={seed}",
            "evaluation.test=false", "evaluation.baselines=[]", *sets,
        ]  # fmt: skip
        if given.rows:
            settings += draw(given.config, settings, given.rows, seed, Path(folder) / "rows.jsonl")
        config = load(given.config, settings)
        recorder, original = Recorder(config.train.passes), training._hooks
        training._hooks = recorder.wrap(original)
        try:
            training.train(config)
        finally:
            training._hooks = original
    rules = {rule: one.test for rule, one in chosen(recorder.found).items()}
    return {"data": data, "seed": seed, "epochs": [asdict(one) for one in recorder.found], "rules": rules}


def main() -> None:
    """Measure what is not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", required=True, help="name=path")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=0, help="so many of each data set; 0: all")
    parser.add_argument("--config", default="examples/phrasebank-fast.yaml")
    parser.add_argument("--set", nargs="*", default=[], help="settings for all; name:setting for one data set")
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(given.json.read_text()) if given.json.is_file() else []
    for seed in range(given.seeds):
        for data, path in (one.split("=", 1) for one in given.data):
            if any(row["data"] == data and row["seed"] == seed for row in rows):
                continue
            own = [s.split(":", 1)[1] for s in given.set if s.startswith(f"{data}:")]
            shared = [s for s in given.set if not any(s.startswith(f"{d.split('=')[0]}:") for d in given.data)]
            rows.append(measure(data, path, seed, [*shared, *own], given))
            given.json.write_text(json.dumps(rows, indent=1) + "\n")
            print(data, seed, {rule: round(100 * value, 1) for rule, value in rows[-1]["rules"].items()}, flush=True)
    print(
        "| rule | " + " | ".join(dict.fromkeys(row["data"] for row in rows)) + " | mean | worst behind the best rule |"
    )
    for rule in RULES:
        by_data: dict[str, list[float]] = {}
        for row in rows:
            by_data.setdefault(row["data"], []).append(row["rules"][rule])
        means = [100 * float(np.mean(values)) for values in by_data.values()]
        behind = max(max(row["rules"].values()) - row["rules"][rule] for row in rows)
        print(
            f"| {rule} | " + " | ".join(f"{m:.1f}" for m in means) + f" | {np.mean(means):.2f} | {100 * behind:.1f} |"
        )


if __name__ == "__main__":
    main()
