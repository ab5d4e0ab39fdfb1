"""Baselines that put the task to the base model, without training: as it is, or behind examples from the training part.

>>> few_shot(contest)
'Sales rose.\\nSentiment: positive\\n\\nThe meeting is on 4 May.\\nSentiment: neutral\\n\\n'
"""

import numpy as np

from fintune.baselines.protocol import Contest


def zero_shot(contest: Contest) -> str:
    """Nothing before the prompt."""
    return ""


def few_shot(contest: Contest) -> str:
    """`shots` training examples of each label (all there are, if fewer), drawn and shuffled by the seed, as prompt and answer."""
    random = np.random.default_rng(contest.seed)
    chosen = []
    for label in contest.task.labels:
        own = [e for e in contest.train if e.label == label]
        chosen += [own[i] for i in random.permutation(len(own))[: contest.shots]]
    shown = [chosen[i] for i in random.permutation(len(chosen))]
    return "".join(f"{contest.task.prompt(e.text)}{contest.task.answer(e.label)}\n\n" for e in shown)
