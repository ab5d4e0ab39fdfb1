"""Few-shot shows training examples of every label, as many as asked, drawn and ordered by the seed."""

from fintune.records import Prompt
from fintune.tasks.baselines.prompting import few_shot, zero_shot
from tests.tasks.baselines.inputs import WORDS, baseline_input, rows


def said_by(shown: tuple[Prompt, ...]) -> str:
    return "".join(map(str, shown))


def test_examples_are_prompts_with_their_answers_of_every_label() -> None:
    train = rows("a", 5)
    shown = said_by(few_shot(baseline_input(train, rows("v", 2), rows("s", 2)))).split("\n\n")
    assert shown.pop() == ""
    assert len(shown) == 6
    said = {f"{e.text} ->{e.target}" for e in train}
    assert set(shown) <= said, "from the training part alone"
    assert sorted(text.split("->")[1] for text in shown) == ["down", "down", "flat", "flat", "up", "up"]
    assert all(WORDS[text.split("->")[1]] in text for text in shown)


def test_the_seed_decides_which_and_in_what_order() -> None:
    parts = rows("a", 20), [], rows("s", 1)
    assert few_shot(baseline_input(*parts, seed=1)) == few_shot(baseline_input(*parts, seed=1))
    assert few_shot(baseline_input(*parts, seed=1)) != few_shot(baseline_input(*parts, seed=2))


def test_all_there_are_where_a_label_has_fewer() -> None:
    assert said_by(few_shot(baseline_input(rows("a", 1), [], rows("s", 1), shots=4))).count("->") == 3


def test_zero_shot_shows_nothing() -> None:
    assert zero_shot(baseline_input(rows("a", 1), [], [])) == ()
