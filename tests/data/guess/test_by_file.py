"""A file for each label: its name is the label of its lines."""

from pathlib import Path

import pytest

from fintune.config.from_data import are_data, look
from fintune.data.guess.guess import guess_files
from fintune.data.guess.reasons import NotLabeledText


def made(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / f"{name}.txt").write_text("\n".join(f"made up line {i} of {name} without a label" for i in range(9)))
    return [str(folder / f"{name}.txt") for name in names]


def test_the_files_of_a_folder_or_these_are_a_label_each(tmp_path: Path) -> None:
    files = made(tmp_path, "positive", "negative", "neutral")
    for paths in (files, [str(tmp_path)]):
        assert are_data(paths)
        found = look(paths, {})
        assert found.written["data"] == {
            "path": {label: str(tmp_path / f"{label}.txt") for label in ("negative", "neutral", "positive")},
            "format": "lines",
        }
        assert found.written["task"] == {"name": "sentiment"}


def test_names_of_no_scale_are_a_doubt(tmp_path: Path) -> None:
    (reason,) = guess_files(made(tmp_path, "card", "loan")).reasons
    assert not reason.sure


def test_no_file_is_left_out_whatever_it_is_called(tmp_path: Path) -> None:
    settings = guess_files(made(tmp_path, "fraud", "none")).settings
    assert settings["data"]["path"] == {name: str(tmp_path / f"{name}.txt") for name in ("fraud", "none")}
    assert settings["task"]["labels"] == ["fraud", "none"]


@pytest.mark.parametrize("names", [("card",), ("2024-05", "2024-06"), ("card", "part1")])
def test_one_file_or_one_called_by_a_number_is_texts_without_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(NotLabeledText, match="texts without labels"):
        guess_files(made(tmp_path, *names))


def test_files_with_labels_in_them_go_by_these(tmp_path: Path) -> None:
    for name in ("north", "south"):
        rows = [f"a made up sentence number {i} from {name}@{('good', 'bad')[i % 2]}" for i in range(12)]
        (tmp_path / f"{name}.txt").write_text("\n".join(rows))
    assert guess_files([str(tmp_path)]).settings["task"]["labels"] == ["bad", "good"]
