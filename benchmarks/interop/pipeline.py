"""The merged folder, unchanged, in transformers' pipeline("text-generation"): what it writes behind the run's own prompts.

fintune merge RUN && python -m benchmarks.interop.pipeline RUN

A run with `train.objective: candidates` has learnt to choose among its answers and nothing else, so its tokens are restricted to those.
"""

import sys
from typing import Any

from fintune.inference.candidates import answers_of
from fintune.models.prompts import PromptEncoder
from fintune.runs.run import Run


def main(folder: str) -> None:
    """Labels that pipeline() and the run agree on, over the validation texts."""
    from transformers import pipeline

    run = Run.open(folder)
    task = run.config().build_task()
    stored = run.predictions("validation")
    generate = pipeline("text-generation", model=str(run.folder / "exports" / "merged"), device="cpu")
    more: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False, "return_full_text": False}
    if run.config().train.objective == "candidates":
        encoder = PromptEncoder(generate.tokenizer, "causal", run.config().model.max_length)
        first = [ids[0] for ids in answers_of(encoder, task).values()]
        more |= {"prefix_allowed_tokens_fn": lambda batch, ids: first, "max_new_tokens": 1}
    said = [generate(str(task.prompt(p.example)), **more)[0]["generated_text"] for p in stored]
    same = sum(task.parse_answer(answer, p.example) == p.answer for answer, p in zip(said, stored, strict=True))
    print(f"transformers pipeline: {same} of {len(stored)} validation texts get the run's label")


if __name__ == "__main__":
    main(sys.argv[1])
