"""What a run's card says, from the files of a run written by hand."""

from pathlib import Path
from typing import Any

import pytest

from fintune.runs.model_card import model_card
from fintune.runs.run import Run
from fintune.runtime.printable import markdown
from tests.data.quality.test_licenses import ALLOWS, FORBIDS, UNKNOWN
from tests.report.made import made_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(Run, "adapter_sha256", lambda self: "ab" * 32)
    return made_run(tmp_path / "card")


def _card(run: Run, *licenses: str | None) -> str:
    data: dict[str, Any] = run.data()
    data["sources"] = [data["sources"][0] | {"name": f"{i}.csv", "license": text} for i, text in enumerate(licenses)]
    run.write_json("data.json", data | {"task": "sentiment"})
    return model_card(run)


@pytest.mark.parametrize("text", FORBIDS)
def test_a_license_that_refuses_commercial_use_warns(text: str, run: Run) -> None:
    assert f"> **Not for commercial use**: trained on 0.csv ({markdown(text)}).\n" in _card(run, text)


@pytest.mark.parametrize("text", ALLOWS)
def test_a_license_that_allows_it_does_not(text: str, run: Run) -> None:
    assert "commercial" not in _card(run, text)


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_license_nobody_knows_is_said_to_be_unknown(text: str | None, run: Run) -> None:
    unsaid = str(text or "").strip().lower() in ("", "unknown", "other", "n/a")
    shown = "license not said" if unsaid else text
    assert f"> **Not known to be free for commercial use**: trained on 0.csv ({markdown(str(shown))}).\n" in _card(
        run, text
    )


def test_every_source_is_heeded(run: Run) -> None:
    card = _card(run, "MIT", "CC_BY_NC_SA", None, "academic use only")
    assert "**Not for commercial use**: trained on 1.csv (CC_BY_NC_SA), 3.csv (academic use only)." in card
    assert "commercial use**: trained on 2.csv (license not said)." in card
