"""The merged folder, unchanged, in lm-evaluation-harness: a local multiple-choice task made of the run's validation part.

pip install lm_eval && fintune merge RUN && python -m benchmarks.interop.lm_eval_task RUN
"""

import json
import sys
import tempfile
from pathlib import Path

from fintune.runs.run import Run

TASK = """task: fintune_run
dataset_path: json
dataset_kwargs:
  data_files:
    validation: {file}
validation_split: validation
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
target_delimiter: ""
metric_list:
  - metric: acc
"""


def main(folder: str) -> None:
    """The harness's accuracy beside the run's."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    run = Run.open(folder)
    task = run.config().build_task()
    stored, choices = run.predictions("validation"), list(task.choices().values())
    with tempfile.TemporaryDirectory() as place:  # the texts stay out of the repository
        file = Path(place) / "validation.jsonl"
        rows = [
            {"prompt": str(task.prompt(p.example)), "choices": choices, "gold": list(task.choices()).index(str(p.gold))}
            for p in stored
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (Path(place) / "fintune_run.yaml").write_text(TASK.format(file=file))
        found = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(run.folder / "exports" / "merged"), "dtype": "float32"},
            tasks=["fintune_run"],
            task_manager=TaskManager(include_path=place, include_defaults=False),
            device="cpu",
            batch_size=8,
        )
    theirs, ours = found["results"]["fintune_run"]["acc,none"], run.scores()["validation"]["accuracy"].value
    print(f"lm_eval {lm_eval.__version__}: accuracy {100 * theirs:.2f}; the run's: {100 * ours:.2f}; n {len(stored)}")


if __name__ == "__main__":
    main(sys.argv[1])
