"""A GGUF export in llama.cpp: log-probabilities of the answers behind the run's prompts, and its tokens, beside ours.

    benchmarks/interop/build_llama_cpp.sh /tmp/llama        # 15 to 20 minutes on 2 cores
fintune export RUN --format gguf && python -m benchmarks.interop.llama_cpp RUN --python /tmp/llama/bin/python [--dtype q8_0]
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from fintune.preparation import first_tokens
from fintune.prompts import PromptEncoder
from fintune.run import Run
from fintune.tasks import TASKS

INSIDE = """
import json, sys
import numpy as np
from llama_cpp import Llama

model, rows, threads = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3])
llama = Llama(model_path=model, n_ctx=1024, logits_all=True, n_threads=threads, verbose=False)
scores, tokens = [], []
for row in rows:
    ids = llama.tokenize(row["prompt"].encode(), add_bos=True, special=False)
    tokens.append(ids == row["ids"])
    each = []
    for answer in row["answers"]:
        llama.reset()
        llama.eval(row["ids"] + answer)
        logits = np.array(llama.scores[len(row["ids"]) - 1 : len(row["ids"]) + len(answer) - 1], dtype=np.float64)
        logits -= np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) + logits.max(1, keepdims=True)
        each.append(float(logits[range(len(answer)), answer].sum()))
    scores.append(each)
print(json.dumps({"scores": scores, "tokens": tokens}))
"""


def main() -> None:
    """Labels, probabilities and tokens that agree, over the validation texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--python", required=True, help="an interpreter that has llama_cpp")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--limit", type=int, default=0, help="so many texts; 0: all")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    from transformers import AutoTokenizer

    run = Run.open(given.run)
    config = run.config()
    task, stored = TASKS[config.task.name].build(config.task), run.predictions("validation")[: given.limit or None]
    name = "gguf" if given.dtype == "float32" else f"gguf-{given.dtype}"
    file = run.folder / "exports" / name / "model.gguf"
    encoder = PromptEncoder(
        AutoTokenizer.from_pretrained(run.folder / "exports" / "merged"), "causal", config.model.max_length
    )
    first = first_tokens(config, task, encoder) is not None
    answers = [encoder.answer_ids(candidate)[: 1 if first else None] for candidate in task.candidates()]
    ids, _ = encoder.encode_prompts([task.prompt(p.text) for p in stored], reserve=max(map(len, answers)))
    rows = [
        {"prompt": str(task.prompt(p.text)), "ids": row, "answers": answers} for p, row in zip(stored, ids, strict=True)
    ]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "inside.py").write_text(INSIDE)
        (Path(place) / "rows.json").write_text(json.dumps(rows))
        command = [given.python, f"{place}/inside.py", str(file), f"{place}/rows.json", str(given.threads)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    scores = np.array(found["scores"])
    probabilities = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    ours = np.array([list(p.probabilities.values()) for p in stored])
    same = int((probabilities.argmax(axis=1) == ours.argmax(axis=1)).sum())
    print(
        f"llama.cpp, {name}: {same} of {len(stored)} validation texts get the run's label; probabilities differ by "
        f"{np.abs(probabilities - ours).max():.2g} at most; {sum(found['tokens'])} prompts get the same tokens"
    )


if __name__ == "__main__":
    main()
