"""Baselines that count: the majority class or the mean, and a linear model on word and character counts.

Both learn from the training part alone; the linear model's regularization is chosen on the validation part.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fintune.records import Example
from fintune.runtime.scripts import UNSPACED, lacks_blanks
from fintune.tasks.baselines.linear import Classifier, Regressor, answers, best, nearest_ridge, number, regression
from fintune.tasks.baselines.protocol import Answers, BaselineInput

_WORD = rf"[{UNSPACED}]|[^\W{UNSPACED}]+"
"""A letter of a script without blanks is a word of its own."""


def majority(visible: BaselineInput) -> Answers:
    """Answer with the most frequent training label; its probabilities are the labels' shares there."""
    counts = Counter(str(e.target) for e in visible.train)
    shares = np.array([counts[label] for label in visible.choices]) / len(visible.train)
    n = len(visible.texts)
    return Answers([counts.most_common(1)[0][0]] * n, np.tile(shares, (n, 1)))


def mean(visible: BaselineInput) -> Answers:
    """Answer with the mean of the training values."""
    return Answers([float(np.mean([number(e) for e in visible.train]))] * len(visible.texts))


def tfidf(visible: BaselineInput) -> Answers:
    """TF-IDF of words (1-2) and characters (2-5; from 1 in Chinese and its like) into logistic regression, or ridge regression."""
    texts = [e.text for e in visible.validation]
    if visible.task.kind == "numbers":
        wanted = [number(e) for e in visible.validation]
        nearest = nearest_ridge(lambda penalty: _fit_numbers(visible.train, penalty), texts, wanted)
        return Answers([float(value) for value in nearest.predict(list(visible.texts))])
    model = best(lambda c: _fit(visible.train, c), texts, [str(e.target) for e in visible.validation])
    return answers(model, list(visible.texts), visible)


def _fit(train: Sequence[Example], c: float) -> Classifier:
    from sklearn.pipeline import make_pipeline
    from threadpoolctl import threadpool_limits

    model: Classifier = make_pipeline(_counts(train), regression(c))
    with threadpool_limits(1):  # several threads on so little only wait for each other
        return model.fit([e.text for e in train], [str(e.target) for e in train])


def _fit_numbers(train: Sequence[Example], penalty: float) -> Regressor:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from threadpoolctl import threadpool_limits

    model: Regressor = make_pipeline(_counts(train), Ridge(penalty, solver="sparse_cg"))
    with threadpool_limits(1):
        return model.fit([e.text for e in train], [number(e) for e in train])


def _counts(train: Sequence[Example]) -> object:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    texts = [e.text for e in train]
    fewest = 1 if lacks_blanks(texts) else 2
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(fewest, 5), sublinear_tf=True)
    has_words = any(re.search(_WORD, text) for text in texts)
    return make_union(words, characters) if has_words else make_union(characters)
