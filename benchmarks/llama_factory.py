"""LLaMA-Factory's supervised fine-tuning with LoRA, run by the Python of its own environment; prints figures as JSON.

It wants older packages than FinTune, so benchmarks.train_speed calls it: --llama-factory /path/to/its/python.
"""

import json
import os
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any


def main(folder: str, base: str, batch_size: int, steps: int) -> None:
    """Train on `folder`/texts.json (instruction, output), every text once."""
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    marks = [time.perf_counter()]
    losses: list[float] = []

    class Noting(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

        def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
            losses.extend([logs["loss"]] if logs and "loss" in logs else [])

    (Path(folder) / "dataset_info.json").write_text(json.dumps({"texts": {"file_name": "texts.json"}}))
    arguments = {
        "stage": "sft", "do_train": True, "model_name_or_path": base, "template": "empty", "dataset": "texts",
        "dataset_dir": folder, "cutoff_len": 128, "output_dir": f"{folder}/out", "finetuning_type": "lora", "lora_target": "all",
        "lora_rank": 8, "lora_alpha": 32, "lora_dropout": 0.1, "per_device_train_batch_size": batch_size, "max_steps": steps,
        "learning_rate": 5e-4, "logging_steps": 1, "report_to": "none", "save_strategy": "no", "use_cpu": True, "bf16": False,
        "disable_gradient_checkpointing": True, "overwrite_cache": True, "preprocessing_num_workers": 1,
    }  # fmt: skip
    run_exp(arguments, [Noting()])
    seconds = [b - a for a, b in pairwise(marks)][1:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rate": batch_size * len(seconds) / sum(seconds), "memory": peak, "losses": losses}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
