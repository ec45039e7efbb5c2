"""The command for a day with a GPU runs through, keeps its time limit, and always leaves what it has."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu_day import Part, missing, parts, run_all

SLEEP = ("timeit", "-n", "1", "-r", "1", "import time; time.sleep(600)")
QUICK = ("timeit", "-n", "1", "-r", "1", "print('a partial result')")


def test_parts_that_end_that_fail_and_that_take_too_long_are_all_written_down(tmp_path: Path) -> None:
    every = [
        Part("quick", (QUICK, QUICK), 0.0),
        Part("broken", (("no_such_module",), QUICK), 0.0),
        Part("endless", (QUICK, SLEEP), 0.5),
        Part("starved", (SLEEP,), 0.0),
    ]
    outcomes = run_all(every, tmp_path, 0, {"device": "a test"})
    assert [outcome.ended for outcome in outcomes][2:] == ["out of time", "out of time"]
    summary = json.loads((tmp_path / "summary.json").read_bytes())
    assert summary["device"] == "a test" and [part["name"] for part in summary["parts"]] == [p.name for p in every]
    outcomes = run_all(every[:2], tmp_path, 600, {})
    assert outcomes[0].ended == "done" and outcomes[1].ended.startswith("failed")
    assert (tmp_path / "1-quick.txt").read_text().count("best of 1") == 2
    broken = (tmp_path / "2-broken.txt").read_text()
    assert "no_such_module" in broken and "a partial result" not in broken


@pytest.mark.full
def test_what_was_running_when_the_command_was_killed_is_in_the_summary(tmp_path: Path) -> None:
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # a shell's & ignores it
        "from pathlib import Path; from benchmarks.gpu_day import Part, run_all;"
        f"every = [Part('quick', ({QUICK!r},), 0), Part('endless', ({SLEEP!r},), 0)];"
        f"run_all(every, Path({str(tmp_path)!r}), 600, {{}})"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        while not (tmp_path / "2-endless.txt").exists():
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    ended = [part["ended"] for part in json.loads((tmp_path / "summary.json").read_bytes())["parts"]]
    assert ended == ["done", "running"]


def test_parts_stand_in_their_order_and_share_the_time() -> None:
    every = parts(Path("data"), Path("out"), "cuda", tiny=False)
    assert [part.name for part in every] == ["agreement", "training", "goals", "study", "serving", "service"]
    assert sum(part.share for part in every) == pytest.approx(1)
    assert missing() == []


@pytest.mark.slow
def test_the_whole_command_runs_through_on_a_cpu(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu_day",
        str(tmp_path),
        "--device",
        "cpu",
        "--tiny",
        "--minutes",
        "30",
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    summary = json.loads((tmp_path / "summary.json").read_bytes())
    texts = {path.name: path.read_text() for path in tmp_path.glob("*.txt")}
    assert process.returncode == 0, f"{process.stdout}{process.stderr}{texts}"
    assert {part["ended"] for part in summary["parts"]} == {"done"}
    assert (tmp_path / "study" / "report.json").exists()
    assert "reading" in texts["2-training.txt"] and "photos a second" in texts["6-service.txt"]
