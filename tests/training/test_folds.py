"""Out-of-fold answers: of every text but the test part's, by models that have not read it; whole after a kill, or not there."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.errors import UsageError
from fintune.training import folds as module
from fintune.training.folds import out_of_fold


@pytest.fixture
def run(trained: fintune.Run, tmp_path: Path) -> fintune.Run:
    return fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "runs" / "tiny"))


def test_every_text_but_the_test_parts_is_answered_once_by_models_of_the_run_s_kind(run: fintune.Run) -> None:
    predictions = out_of_fold(run, 3)
    ids = run.data()["ids"]
    assert [one.id for one in predictions] == [*ids["train"], *ids["validation"]]
    assert run.predictions("oof") == predictions
    assert sum(one.right for one in predictions) > 0.8 * len(predictions)
    assert not (run.folder / "folds").exists()


def test_no_fold_learns_from_what_it_answers(run: fintune.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[fintune.Run] = []

    def kept(*arguments: Any, **options: Any) -> fintune.Run:
        seen.append(module_train(*arguments, **options))
        ids = seen[-1].data()["ids"]
        assert not set(ids["train"]) & set(ids["validation"])
        assert not set(ids["train"] + ids["validation"]) & set(run.data()["ids"]["test"])
        assert seen[-1].kept_epoch() == run.kept_epoch()
        return seen[-1]

    module_train = module.train
    monkeypatch.setattr(module, "train", kept)
    out_of_fold(run, 2)
    assert len(seen) == 2


def test_a_killed_command_goes_on_with_the_fold_it_was_at(run: fintune.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module_train, calls = module.train, []

    def killed(config: Any, **options: Any) -> fintune.Run:
        calls.append(config.data.split.fold)
        if config.data.split.fold == 1 and calls.count(1) == 1:
            raise KeyboardInterrupt
        return module_train(config, **options)

    monkeypatch.setattr(module, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        out_of_fold(run, 2)
    assert not run.has_predictions("oof")
    first = (run.folder / "folds" / "2-0" / "log.jsonl").read_bytes()
    monkeypatch.setattr(module, "_need_fold", lambda prepared, trained: _same(trained, first))
    assert len(out_of_fold(run, 2)) == 72


def _same(trained: fintune.Run, first: bytes) -> None:
    if trained.folder.name == "2-0":
        assert (trained.folder / "log.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    ("settings", "folds", "message"),
    [({"split": {"folds": 2}}, 2, "is fold 0 of 2 itself"), ({}, 40, "72 texts to fold")],
)
def test_what_cannot_be_folded_is_refused_before_anything_is_trained(
    settings: dict[str, Any], folds: int, message: str, tiny_config: dict[str, Any]
) -> None:
    tiny_config["data"] |= settings
    prepared = prepare(load(tiny_config))
    with pytest.raises(UsageError, match=message):
        module._need_foldable(prepared, folds)


def test_test_is_the_same_part_with_folds_and_without(tiny_config: dict[str, Any]) -> None:
    whole = prepare(load(tiny_config)).splits
    for fold in range(3):
        folded = prepare(load(tiny_config, ["data.split.folds=3", f"data.split.fold={fold}"])).splits
        assert [e.id for e in folded["test"]] == [e.id for e in whole["test"]]
        assert not {e.id for e in folded["test"]} & {e.id for e in [*folded["train"], *folded["validation"]]}
