"""What is found in files: rightly, or with doubt that is said; never wrongly with confidence."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.guesses import judged
from fintune.data.guess.guess import guess_files
from fintune.data.guess.reasons import NotLabeledText, Undecided
from fintune.errors import DataError

FOLDERS = [folder for folder in sorted(Path(__file__).parent.glob("files*")) if folder.is_dir()]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_file_is_read_wrongly_with_confidence(folder: Path) -> None:
    """The files and what is expected of them are by others, who had not read the guesser."""
    verdicts = judged(folder)
    assert [(v.file, v.differs) for v in verdicts if not v.right and v.sure] == []


def test_nine_of_ten_files_are_read_rightly() -> None:
    verdicts = [verdict for folder in FOLDERS for verdict in judged(folder)]
    assert len(verdicts) >= 40
    assert sum(verdict.right for verdict in verdicts) >= 0.9 * len(verdicts)


def write(path: Path, header: str, *rows: str) -> str:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def settings(path: str, **given: Any) -> dict[str, Any]:
    found = guess_files([path], given).settings
    return {**found["data"], **found["task"]}


TEXTS = [
    f"The {thing} of Marlow plc {verb} in {month}"
    for thing in ("profit", "debt", "order book")
    for verb in ("rose", "fell")
    for month in ("May", "June")
]


def table(path: Path, *columns: str, **values: list[str]) -> str:
    """A csv of twelve sentences, and values that come again beside them."""
    lines = [",".join([text, *(values[c][i % len(values[c])] for c in columns)]) for i, text in enumerate(TEXTS)]
    return write(path, ",".join(["sentence", *columns]), *lines)


def test_columns_labels_and_task_are_found(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "mood", mood=["positive", "negative", "neutral"])
    assert settings(path) == {"path": path, "text_column": "sentence", "label_column": "mood", "name": "sentiment"}


def test_the_name_of_a_column_decides_among_several(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "source", "label", source=["web", "mail"], label=["a", "b", "c"])
    assert settings(path)["label_column"] == "label"
    assert settings(path)["labels"] == ["a", "b", "c"]


def test_two_columns_that_may_be_the_answer_are_asked_for_with_what_to_type(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "topic", "tone", topic=["tax", "loan"], tone=["good", "bad", "mixed"])
    with pytest.raises(Undecided) as failure:
        guess_files([path])
    assert failure.value.message == f"{path}: 2 columns may be the answer: topic (2 labels); tone (3 labels)"
    assert failure.value.hint == "Choose: --set data.label_column=topic, or --set data.label_column=tone"
    assert settings(path, data={"label_column": "tone"})["labels"] == ["good", "bad", "mixed"]


def test_a_column_beside_codes_names_them(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "label", "label_text", label=["0", "1"], label_text=["loss", "gain"])
    assert settings(path)["label_column"] == "label_text"


def test_a_line_above_the_table_says_what_codes_mean(tmp_path: Path) -> None:
    rows = [f"{text},{i % 2}" for i, text in enumerate(TEXTS)]
    path = write(tmp_path / "a.csv", "# label: 0 = bearish, 1 = bullish", "sentence,label", *rows)
    found = settings(path)
    assert (found["label_map"], found["labels"]) == ({"0": "bearish", "1": "bullish"}, ["bearish", "bullish"])


def test_numbers_are_a_regression_on_the_next_scale(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        "sentiment_score",
        sentiment_score=[
            "0.41",
            "-0.52",
            "0.0",
            "0.87",
            "-0.13",
            "0.2",
            "0.3",
            "0.4",
            "0.5",
            "0.6",
            "0.7",
            "-0.8",
            "0.9",
        ],
    )
    assert settings(path)["name"] == "regression"
    assert (settings(path)["low"], settings(path)["high"]) == (-1.0, 1.0)


def test_spellings_of_a_label_are_one(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "label", label=["Good", "Good", "Bad", "good ", "Bad", "Bad."])
    assert settings(path)["label_map"] == {"Good": "Good", "good": "Good", "Bad": "Bad", "Bad.": "Bad"}
    assert settings(path)["labels"] == ["Bad", "Good"]


def test_rows_without_an_answer_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "label", label=["up", "down", "", "up", "NULL", "down"])
    guess = guess_files([path])
    assert "unknown-label" in guess.settings["data"]["drop"]
    assert (
        next(r.why for r in guess.reasons if r.setting == "data.drop")
        == "left out: answer '': 2 rows; answer 'NULL': 2 rows"
    )


def test_a_title_and_a_body_are_both_read(tmp_path: Path) -> None:
    rows = [f'"{text[-20:]} {i}",{text} and the board said so,{"ab"[i % 2]}' for i, text in enumerate(TEXTS)]
    path = write(tmp_path / "a.csv", "title,body,label", *rows)
    assert settings(path)["prompt"] == "{title}\n{body}\nLabel: {answer}"
    assert "text_column" not in settings(path)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (
            '{"messages": [{"role": "user", "content": "Hello there"}, {"role": "assistant", "content": "Good day"}]}',
            "chat",
        ),
        ('{"instruction": "Say what it is", "input": "Profit rose", "output": "good"}', "instruction"),
        ('{"prompt": "Say", "chosen": "Good day to you", "rejected": "Go away"}', "preference"),
        ('{"text": "Marlow plc rose", "label": [[0, 10, "ORG"]]}', "tokens"),
        ('{"question": "Which is it then?", "A": "x", "B": "y", "C": "z", "answer": "A"}', "exam"),
        ('{"text": "Marlow plc rose in May", "url": "https://a.example/b"}', "unlabeled"),
    ],
)
def test_other_kinds_of_data_are_called_what_they_are(tmp_path: Path, record: str, kind: str) -> None:
    rows = [record.replace("Marlow", f"Marlow {number}") for number in range(9)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    with pytest.raises(NotLabeledText) as failure:
        guess_files([str(tmp_path / "a.jsonl")])
    assert failure.value.kind_of_data == kind
    assert failure.value.hint


@pytest.mark.parametrize(
    ("cell", "column", "about"),
    [
        ('{{"{a}": "up", "{b}": "down"}}', "tone.value", "tone.key"),
        ('[{{"name": "{a}", "tone": "up"}}, {{"name": "{b}", "tone": "down"}}]', "tone.tone", "tone.name"),
    ],
    ids=["object", "list"],
)
def test_answers_for_several_targets_are_refused_with_what_reads_them(
    tmp_path: Path, cell: str, column: str, about: str
) -> None:
    names = ["Acme", "Borel", "Corvid", "Delta"]
    cells = [cell.format(a=names[i % 4], b=names[(i + 1) % 4]) for i in range(len(TEXTS))]
    path = tmp_path / "targets.jsonl"
    rows = zip(TEXTS, map(json.loads, cells), strict=True)
    held = [{"text": text, "tone": json.dumps(one) if isinstance(one, dict) else one} for text, one in rows]
    path.write_text("\n".join(map(json.dumps, held)))
    with pytest.raises(NotLabeledText, match="several targets in one cell") as failure:
        guess_files([str(path)])
    assert failure.value.hint == "To read a row of each: --set data.explode=tone."
    found = guess_files([str(path)], {"data": {"explode": "tone"}}).settings
    assert found["data"]["label_column"] == column
    assert f"{{text}}\n{{{about}}}\n" in str(found["task"]["prompt"])


def test_a_label_set_is_read_from_all_files(tmp_path: Path) -> None:
    first = table(tmp_path / "a.csv", "label", label=["x", "y"])
    second = table(tmp_path / "b.csv", "label", label=["z"])
    assert guess_files([first, second]).settings["task"]["labels"] == ["x", "y", "z"]


def test_a_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "label", label=["x", "y"])
    with pytest.raises(DataError, match="no column 'lable'") as failure:
        guess_files([path], {"data": {"label_column": "lable"}})
    assert failure.value.hint == "Did you mean 'label'?"


def test_bytes_that_no_encoding_reads_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\nup,a\n".encode("utf-16")[:-1] + b"\xd8")
    with pytest.raises(DataError):
        guess_files([str(tmp_path / "a.csv")], {"data": {"encoding": "utf-16"}})


def test_one_answer_alone_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("\n".join(["text,label", *(f"made up sentence number {i},good" for i in range(12))]))
    with pytest.raises(DataError, match="there is 'good' alone: nothing to learn"):
        guess_files([str(path)], {"data": {"label_column": "label"}})


@pytest.mark.parametrize("quoted", ['"', ""])
def test_semicolons_part_fields_where_numbers_have_decimal_commas(tmp_path: Path, quoted: str) -> None:
    rows = [
        f"{i};{quoted}Der Gewinn von Marlow stieg auf {i},{i % 10} Mio. Euro, nach {i},1 Mio.{quoted};{mood}"
        for i, mood in enumerate(["-0,8", "-0,2", "0,55", "0,9"] * 10)
    ]
    path = write(tmp_path / "a.csv", "Nummer;Meldung;Bewertung", *rows)
    found = settings(path)
    assert (found["delimiter"], found["text_column"], found["label_column"]) == (";", "Meldung", "Bewertung")
    assert found["decimal"] == ","


def test_labels_that_are_all_the_same_are_refused_by_name(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "label", label=["good"])
    with pytest.raises(DataError, match="label is 'good' in all 12 rows, and there is nothing to tell apart"):
        guess_files([path])


@pytest.mark.parametrize("name", ["target", "price_target"])
def test_a_price_is_not_taken_for_the_rating_beside_it(tmp_path: Path, name: str) -> None:
    prices = [f"{i * 7.31 + 20:.2f}" for i in range(12)]
    path = table(tmp_path / "a.csv", "rating", name, rating=["Buy", "Hold", "Sell"], **{name: prices})
    if name == "target":
        with pytest.raises(Undecided, match=r"2 columns may be the answer"):
            guess_files([path])
    else:
        assert settings(path)["label_column"] == "rating"


def test_a_company_called_target_does_not_beat_a_sentiment_score(tmp_path: Path) -> None:
    scores = [f"{i / 20 - 0.3:.3f}" for i in range(12)]
    path = table(tmp_path / "a.csv", "target", "sentiment_score", target=["Alvex", "Bortun"], sentiment_score=scores)
    with pytest.raises(Undecided, match="sentiment_score"):
        guess_files([path])


def test_votes_that_are_given_are_the_answer(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "up", "flat", "down", up=["3", "0"], flat=["1", "2"], down=["0", "5"])
    votes = {"positive": "up", "neutral": "flat", "negative": "down"}
    found = settings(path, data={"label_columns": votes})
    assert found["text_column"] == "sentence"
    assert "label_column" not in found
    assert found["name"] == "sentiment"
    with pytest.raises(DataError, match="no column 'upp'"):
        guess_files([path], {"data": {"label_columns": {**votes, "positive": "upp"}}})


def test_columns_with_one_mark_a_row_are_offered_as_one_label(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "e", "s", "g", e=["1", "0", "0"], s=["0", "1", "0"], g=["0", "0", "1"])
    with pytest.raises(Undecided) as raised:
        guess_files([path])
    assert raised.value.readings[0].override == "data.label_columns={e: e, s: s, g: g}"


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("label", ["up", "", "", "down", "", ""], "label has 2 values over 4 rows, and 8 rows without one"),
        ("label", [f"v{i}" for i in range(12)], "label has 12 values over 12 rows"),
        ("predicted_label", ["up", "down"], "predicted_label has 2 values over 12 rows"),
    ],
)
def test_the_nearest_column_is_named_where_none_is_surely_the_answer(
    tmp_path: Path, name: str, values: list[str], said: str
) -> None:
    path = table(tmp_path / "a.csv", name, **{name: values})
    with pytest.raises(DataError, match=f"no column is surely the answer; {said}"):
        guess_files([path])


def test_sentiments_in_capitals_are_no_initials(tmp_path: Path) -> None:
    assert settings(table(tmp_path / "a.csv", "cls", cls=["POS", "NEG", "NEU"]))["label_column"] == "cls"


@pytest.mark.parametrize(
    ("days", "form"),
    [
        (["2024/3/4", "2024/11/28"], "%Y/%m/%d"),
        (["04.03.2024", "28.11.2024"], "%d.%m.%Y"),
        (["11/28/2024 10:15", "03/04/2024 09:00"], "%m/%d/%Y %H:%M"),
        (["2024-03-04", "2024-11-28"], None),
    ],
)
def test_the_form_of_dates_is_found(tmp_path: Path, days: list[str], form: str | None) -> None:
    found = settings(table(tmp_path / "a.csv", "when", "label", when=days, label=["a", "b"]))
    assert (found["date_column"], found.get("date_format")) == ("when", form)


def test_day_or_month_is_left_to_the_user(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "when", "label", when=["03/04/2024", "05/06/2024"], label=["a", "b"])
    guess = guess_files([path])
    assert "date_format" not in guess.settings["data"]
    assert [(r.why, r.sure) for r in guess.reasons if r.setting == "data.date_format"] == [
        ("%d/%m/%Y; could be %m/%d/%Y: set it", False)
    ]


def test_a_label_spelled_two_ways_costs_no_row_of_the_others(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "label", label=["Buy", "BUY", "Hold", "Sell", "Buy", "Hold"])
    assert settings(path)["label_map"] == {"Buy": "Buy", "BUY": "Buy", "Hold": "Hold", "Sell": "Sell"}
