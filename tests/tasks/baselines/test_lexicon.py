"""The word list reads directions by what they act on, negations, comparisons; in English and Chinese."""

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.evaluation.baselines import baseline_input
from fintune.tasks.baselines import BASELINES
from fintune.tasks.baselines.lexicon import verdict


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("Operating loss narrowed to EUR 2 mn.", 1),
        ("Operating loss widened to EUR 2 mn.", -1),
        ("Costs fell.", 1),
        ("Profit fell.", -1),
        ("Net sales rose and costs fell.", 1),
        ("The company did not improve.", -1),
        ("Profit was EUR 9.8 mn, compared with EUR 12.7 mn in 2009.", -1),
        ("Loss was EUR 9.8 mn in 2010, compared with EUR 12.7 mn.", 1),
        ("It posted a profit of EUR 1 mn versus a loss of EUR 2 mn.", 1),
        ("The annual general meeting will be held on 14 May.", 0),
        ("The firm declined to comment.", 0),
        ("The contract runs to 2030.", 0),
        ("公司扭亏为盈。", 1),
        ("亏损收窄。", 1),
        ("成本上升。", -1),
        ("营收下滑。", -1),
        ("业绩不及预期。", -1),
        ("股东大会将于五月召开。", 0),
    ],
)
def test_a_verdict(text: str, sign: int) -> None:
    found = verdict(text)
    assert (found > 0) - (found < 0) == sign, found


def test_directions_act_within_their_own_sentence() -> None:
    assert verdict("Costs were stable. Profit fell.") == verdict("Profit fell.") == -1


def test_the_list_is_sound_and_says_whose_it_is() -> None:
    lines = files("fintune.tasks.baselines").joinpath("lexicon.tsv").read_text("utf-8").splitlines()
    head = " ".join(line for line in lines if line.startswith("#"))
    assert "of FinTune's own" in head
    assert "CC0 1.0" in head
    entries = [line.split("\t") for line in lines if not line.startswith("#")]
    assert 150 <= len(entries) <= 300
    assert {kind for kind, _ in entries} == {
        "up",
        "down",
        "good",
        "bad",
        "positive",
        "negative",
        "not",
        "than",
        "aside",
    }
    forms = Counter(form for _, given in entries for form in given.split(", "))
    assert [form for form, times in forms.items() if times > 1 or form != form.strip().lower()] == []


def test_it_beats_the_majority_on_real_rows(phrasebank: Path) -> None:
    prepared = prepare(load({"data": {"path": str(phrasebank), "format": "phrasebank"}}))
    answer = BASELINES["lexicon"].answer
    assert answer is not None
    found = answer(baseline_input(prepared, "validation")).answers
    gold = [e.target for e in prepared.splits["validation"]]
    assert sum(a == b for a, b in zip(found, gold, strict=True)) / len(gold) > 0.8
