"""A GGUF export in llama.cpp: log-probabilities of the answers behind the run's prompts, and its tokens, beside ours.

    benchmarks/interop/build_llama_cpp.sh /tmp/llama        # 15 to 20 minutes on 2 cores
    fintune merge RUN && fintune export RUN --format gguf
    python -m benchmarks.interop.llama_cpp RUN --python /tmp/llama/bin/python [--dtype q8_0] [--lora]

Decoders and encoder-decoders, through the binding's lower level, which has both. With `--lora` the base model's GGUF (made here) runs
with the file of `fintune export RUN --format gguf-lora` on it.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from fintune.export.registry import FORMATS
from fintune.inference.candidates import answers_of, first_tokens
from fintune.inference.load import load_base_of
from fintune.models.prompts import PromptEncoder
from fintune.runs.run import Run

INSIDE = """
import ctypes, json, sys
import llama_cpp as L
import numpy as np

model_path, rows, threads, longest, adapter = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
quiet = L.llama_log_callback(lambda level, text, data: None)
L.llama_log_set(quiet, None)
L.llama_backend_init()
plain = L.llama_model_default_params()
plain.use_extra_bufts = False  # its own layouts for 8 bits crash on virtual machines that have AMX, with Google's file too
model = L.llama_model_load_from_file(model_path.encode(), plain)
assert model, "llama.cpp does not load it"
settings = L.llama_context_default_params()
settings.n_ctx = settings.n_batch = settings.n_ubatch = longest
settings.n_threads = settings.n_threads_batch = threads
context = L.llama_init_from_model(model, settings)
vocabulary = L.llama_model_get_vocab(model)
width = L.llama_vocab_n_tokens(vocabulary)
if adapter:
    lora = L.llama_adapter_lora_init(model, adapter.encode())
    assert lora, "llama.cpp does not load the adapter"
    loras, scales = (L.llama_adapter_lora_p_ctypes * 1)(lora), (ctypes.c_float * 1)(1.0)
    assert L.llama_set_adapters_lora(context, loras, 1, scales) == 0

def tokenized(text):
    data = text.encode()
    buffer = (L.llama_token * (len(data) + 8))()
    return list(buffer[: L.llama_tokenize(vocabulary, data, len(data), buffer, len(buffer), True, False)])

def run(ids, step):
    batch = L.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    assert step(context, batch) == 0
    L.llama_batch_free(batch)

def logits(i):
    row = np.ctypeslib.as_array(L.llama_get_logits_ith(context, i), (width,)).astype(np.float64)
    return row - row.max() - np.log(np.exp(row - row.max()).sum())

scores, tokens = [], []
for row in rows:
    tokens.append(tokenized(row["prompt"]) == row["ids"])
    each, single = [], all(len(answer) == 1 for answer in row["answers"])
    for number, answer in enumerate(row["answers"]):
        if single and number:  # behind the same prompt
            each.append(float(logits(len(begin) - 1)[answer[0]]))
            continue
        L.llama_memory_clear(L.llama_get_memory(context), True)
        begin = row["ids"]
        if L.llama_model_has_encoder(model):
            run(begin, L.llama_encode)
            begin = [L.llama_model_decoder_start_token(model)]
        run(begin + answer[:-1], L.llama_decode)
        each.append(sum(float(logits(len(begin) - 1 + i)[token]) for i, token in enumerate(answer)))
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
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    from transformers import AutoConfig, AutoTokenizer

    run = Run.open(given.run)
    config = run.config()
    task, stored = config.build_task(), run.predictions("validation")[: given.limit or None]
    name = "gguf" if given.dtype == "float32" else f"gguf-{given.dtype}"
    file, adapter = run.folder / "exports" / name / "model.gguf", ""
    merged = run.folder / "exports" / "merged"
    kind = "seq2seq" if AutoConfig.from_pretrained(merged).is_encoder_decoder else "causal"
    encoder = PromptEncoder(AutoTokenizer.from_pretrained(merged), kind, config.model.max_length)
    first = first_tokens(config, task, encoder) is not None
    answers = [ids[: 1 if first else None] for ids in answers_of(encoder, task).values()]
    ids, _ = encoder.encode_prompts([task.prompt(p.example) for p in stored], reserve=max(map(len, answers)))
    rows = [
        {"prompt": str(task.prompt(p.example)), "ids": row, "answers": answers}
        for p, row in zip(stored, ids, strict=True)
    ]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "inside.py").write_text(INSIDE)
        (Path(place) / "rows.json").write_text(json.dumps(rows))
        if given.lora:
            name, adapter = f"{name} of the base model + gguf-lora", str(run.folder / "exports/gguf-lora/adapter.gguf")
            file = Path(place) / "base" / "model.gguf"
            base = load_base_of(run, device="cpu", in_full=True)
            FORMATS["gguf"].write(base, file.parent, given.dtype)
        sizes = [str(given.threads), str(config.model.max_length)]
        command = [given.python, f"{place}/inside.py", str(file), f"{place}/rows.json", *sizes, adapter]
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
