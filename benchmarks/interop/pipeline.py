"""The merged folder, unchanged, in transformers' pipeline("text-generation"): what it writes behind the run's own prompts.

fintune merge RUN && python -m benchmarks.interop.pipeline RUN
"""

import sys

from fintune.run import Run
from fintune.tasks import TASKS


def main(folder: str) -> None:
    """Labels that pipeline() and the run agree on, over the validation texts."""
    from transformers import pipeline

    run = Run.open(folder)
    task = TASKS[run.config().task.name].build(run.config().task)
    stored = run.predictions("validation")
    generate = pipeline("text-generation", model=str(run.folder / "exports" / "merged"), device="cpu")
    prompts = [str(task.prompt(p.text)) for p in stored]
    said = [
        generate(prompt, max_new_tokens=4, do_sample=False, return_full_text=False)[0]["generated_text"]
        for prompt in prompts
    ]
    same = sum(task.parse_answer(answer) == p.label for answer, p in zip(said, stored, strict=True))
    print(f"transformers pipeline: {same} of {len(stored)} validation texts get the run's label")


if __name__ == "__main__":
    main(sys.argv[1])
