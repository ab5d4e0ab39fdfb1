"""What a model must beat to be worth its weights: the majority class, and a linear model on word and character counts.

Both learn from the training part alone; the linear model's regularisation is chosen on the validation part.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fintune.metrics import classification_scores
from fintune.records import Example, Scores

REGULARISATION = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""values of C tried (scikit-learn's LogisticRegression)"""

_WORD = r"\w+"


def majority(train: Sequence[Example], scored: Sequence[Example], labels: Sequence[str], **options: Any) -> Scores:
    """Always the most frequent training label."""
    label = Counter(e.label for e in train).most_common(1)[0][0]
    return _scores([label] * len(scored), scored, labels, options)


def tfidf(
    train: Sequence[Example],
    validation: Sequence[Example],
    scored: Sequence[Example],
    labels: Sequence[str],
    **options: Any,
) -> Scores:
    """TF-IDF of words (1-2) and characters (2-5) into logistic regression."""
    from sklearn.metrics import f1_score

    gold = [e.label for e in validation]
    models = [_fit(train, c) for c in REGULARISATION]
    quality = [
        f1_score(gold, m.predict([e.text for e in validation]), average="macro", zero_division=0) for m in models
    ]
    best = models[int(np.argmax(quality))]
    return _scores(list(best.predict([e.text for e in scored])), scored, labels, options)


def _fit(train: Sequence[Example], c: float) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union
    from threadpoolctl import threadpool_limits

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    has_words = any(re.search(_WORD, e.text) for e in train)
    counts = make_union(words, characters) if has_words else make_union(characters)
    model = make_pipeline(counts, LogisticRegression(C=c, max_iter=2000, class_weight="balanced"))
    with threadpool_limits(1):  # several threads on so little only wait for each other
        return model.fit([e.text for e in train], [e.label for e in train])


def _scores(found: Sequence[str], scored: Sequence[Example], labels: Sequence[str], options: Any) -> Scores:
    where = {label: i for i, label in enumerate(labels)}
    gold = np.array([where[e.label] for e in scored])
    return classification_scores(gold, np.array([where[label] for label in found]), labels, **options)
