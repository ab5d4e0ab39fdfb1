"""A run merged into its base and trimmed to the vocabulary of its data: size, and whether it scores as the run did.

python -m benchmarks.trimmed_merged RUN
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np


def main() -> None:
    """Merge, trim, score the run's validation texts in batches, compare with what the run has stored."""
    from fintune.compression.trim import trim
    from fintune.inference.load import engine, load_tuned
    from fintune.models import load_model
    from fintune.runs.run import Run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    run = Run.open(parser.parse_args().run)
    config = run.config()
    task = config.build_task()
    predictions = run.predictions("validation")
    stored = np.array([list(p.probabilities.values()) for p in predictions])
    prompts = [task.prompt(p.example) for p in predictions]
    with tempfile.TemporaryDirectory() as folder:
        merged, small = Path(folder) / "merged", Path(folder) / "small"
        loaded = load_tuned(run)
        loaded = replace(loaded, model=loaded.model.merge_and_unload())
        loaded.model.save_pretrained(merged)
        loaded.tokenizer.save_pretrained(merged)
        model = config.model.model_copy(update={"base": str(merged)})
        found = trim(config.model_copy(update={"model": model}), output=small)
        again = engine(config, load_model(str(small))).rank(prompts, list(task.choices().values())).probabilities()
    changed, apart = int((again.argmax(1) != stored.argmax(1)).sum()), np.abs(again - stored).max()
    print(f"{found.parameters[0]:,} -> {found.parameters[1]:,} parameters, {found.bytes / 1e6:.0f} MB")
    print(f"of {len(predictions)} texts {changed} answered otherwise, probabilities apart at most {apart:.1e}")


if __name__ == "__main__":
    main()
