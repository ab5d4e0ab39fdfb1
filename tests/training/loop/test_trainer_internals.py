"""What training leans on inside transformers' Trainer: a new release that changes it fails here, by name."""

import inspect
from importlib import import_module

import pytest
from transformers import Trainer

from fintune.training.loop.answer_trainer import AnswerTrainer

OVERRIDDEN = {
    "_save_checkpoint": ["self", "model", "trial"],
    "_get_output_dir": ["self", "trial"],
    "_save": ["self", "output_dir", "state_dict"],
    "_load_from_checkpoint": ["self", "resume_from_checkpoint", "model"],
    "_clip_grad_norm": ["self", "model"],
}
"""Private methods of Trainer that are overridden, with what they are called with."""
IMPORTED = (
    "trainer_callback.PrinterCallback",
    "integrations.integration_utils.get_reporting_integration_callbacks",
    "integrations.integration_utils.TensorBoardCallback",
)
"""Names of transformers that no documentation promises."""


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_private_method_that_is_overridden_takes_what_it_took(name: str) -> None:
    for trainer in (Trainer, AnswerTrainer):
        assert list(inspect.signature(vars(trainer)[name]).parameters) == OVERRIDDEN[name]


def test_no_other_private_name_is_overridden() -> None:
    ours = {name for name in vars(AnswerTrainer) if name.startswith("_") and not name.startswith("__")}
    assert {name for name in ours if hasattr(Trainer, name)} == set(OVERRIDDEN)


def test_private_state_that_is_set_or_taken_for_granted() -> None:
    source = inspect.getsource(Trainer)
    assert "self._loss_shifts_labels" in source
    assert "self.compute_loss_func(" in inspect.getsource(Trainer.compute_loss)
    assert 'f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"' in inspect.getsource(Trainer._save_checkpoint)


@pytest.mark.parametrize("name", IMPORTED)
def test_an_undocumented_name_is_still_there(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(f"transformers.{module}"), attribute)
