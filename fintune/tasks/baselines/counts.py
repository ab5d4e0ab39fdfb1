"""Baselines that count: the majority class, and a linear model on word and character counts.

Both learn from the training part alone; the linear model's regularization is chosen on the validation part.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fintune.records import Example
from fintune.tasks.baselines.linear import Classifier, answers, best, regression
from fintune.tasks.baselines.protocol import Answers, BaselineInput

_WORD = r"\w+"


def majority(visible: BaselineInput) -> Answers:
    """Answer with the most frequent training label; its probabilities are the labels' shares there."""
    counts = Counter(e.label for e in visible.train)
    shares = np.array([counts[label] for label in visible.task.labels]) / len(visible.train)
    n = len(visible.texts)
    return Answers([counts.most_common(1)[0][0]] * n, np.tile(shares, (n, 1)))


def tfidf(visible: BaselineInput) -> Answers:
    """TF-IDF of words (1-2) and characters (2-5) into logistic regression."""
    gold = [e.label for e in visible.validation]
    model = best(lambda c: _fit(visible.train, c), [e.text for e in visible.validation], gold)
    return answers(model, list(visible.texts), visible)


def _fit(train: Sequence[Example], c: float) -> Classifier:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from threadpoolctl import threadpool_limits

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    has_words = any(re.search(_WORD, e.text) for e in train)
    counts = make_union(words, characters) if has_words else make_union(characters)
    model: Classifier = make_pipeline(counts, regression(c))
    with threadpool_limits(1):  # several threads on so little only wait for each other
        return model.fit([e.text for e in train], [e.label for e in train])
