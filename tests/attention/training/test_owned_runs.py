"""Runs, plans and checkpoints of one API key are found by none of another: nobody learns what others have trained."""

from pathlib import Path

import pytest

from attention.analyses.plan import run_cards
from attention.data.files import Files
from attention.training.run_study import prepare, run_study
from attention.training.study import RunStore
from tests.attention.training.test_choosing import ask
from tests.attention.training.test_train import write_folder

ANNA, BERT = "aaaaaaaa", "bbbbbbbb"


@pytest.mark.full
def test_what_one_key_has_trained_is_trained_anew_for_another(tmp_path: Path) -> None:
    write_folder(tmp_path / "datasets" / "rgb")
    files = {owner: Files(tmp_path, owner=owner) for owner in ("", ANNA, BERT)}
    store = {owner: RunStore(files[owner].file_store, "cpu", owner=owner) for owner in files}
    request = ask(choose=False, seeds=1)
    report = run_study(request, store[ANNA], lambda *_, **__: None)
    assert len(report.runs) == 3 and all(run.weights and run.weights.endswith(f"-{ANNA}") for run in report.runs)
    prepared = {owner: prepare(request, store[owner]) for owner in (BERT, ANNA)}
    assert (len(prepared[ANNA].records), len(prepared[BERT].records)) == (3, 0)
    plans = [prepared[owner].plan for owner in (ANNA, BERT)]
    assert plans[0] is not None and plans[1] is not None and plans[1].created >= plans[0].created
    assert {owner: len(list(run_cards(files[owner]))) for owner in files} == {"": 3, ANNA: 3, BERT: 0}
    kept = {path.relative_to(tmp_path).parent.as_posix() for path in (tmp_path / "runs").rglob("*.json")}
    assert kept == {"runs", f"runs/plans/{ANNA}", f"runs/plans/{BERT}"}
