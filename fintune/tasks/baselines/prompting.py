"""Baselines that put the task to the base model, without training: as it is, or behind examples from the training part.

Example:
    "".join(map(str, few_shot(visible)))
    # 'Sales rose.\\nSentiment: positive\\n\\nThe meeting is on 4 May.\\nSentiment: neutral\\n\\n'
"""

import numpy as np

from fintune.records import Prompt
from fintune.tasks.baselines.protocol import BaselineInput


def zero_shot(visible: BaselineInput) -> tuple[Prompt, ...]:
    """Nothing before the prompt."""
    return ()


def few_shot(visible: BaselineInput) -> tuple[Prompt, ...]:
    """`shots` training examples of each label (all there are, if fewer), drawn and shuffled by the seed, as prompt and answer."""
    random = np.random.default_rng(visible.seed)
    chosen = []
    strata = dict.fromkeys(e.stratum for e in visible.train)
    ordered = [name for name in visible.choices if name in strata]  # whatever order the rows have
    for stratum in ordered if len(ordered) == len(strata) else strata:
        own = [e for e in visible.train if e.stratum == stratum]
        chosen += [own[i] for i in random.permutation(len(own))[: visible.shots]]
    shown = [chosen[i] for i in random.permutation(len(chosen))]
    task = visible.task
    return tuple(one for e in shown for one in (task.prompt(e), Prompt.around("", task.target(e), "\n\n")))
