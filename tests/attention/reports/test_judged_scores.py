"""Scores of judged arms as they are printed: with the digits that they need, each note under its own arm."""

from pathlib import Path

import pytest

from attention.analyses.judge import judged
from attention.commands import main
from attention.reports.judge import JudgeRequest, ResultFile

BASE = [0.7712, 0.7693, 0.7741, 0.7704, 0.7685, 0.7730]
GAIN = [0.0062, 0.0048, 0.0071, 0.0055, 0.0039, 0.0066]


def table(seeds: int, *names: str) -> str:
    better = [score + gain for score, gain in zip(BASE, GAIN, strict=True)]
    arms = {"none": BASE, **dict.fromkeys(names or ("se",), better)}
    rows = [f"{arm},{seed},{score:.4f}" for arm, scores in arms.items() for seed, score in enumerate(scores[:seeds])]
    return "\n".join(["arm,seed,score", *rows])


@pytest.mark.parametrize(("seeds", "mean", "sd"), [(6, "0.7711", "0.0021"), (3, "0.7715", "0.0024")])
def test_scores_in_shares_have_digits_enough_for_every_arm(seeds: int, mean: str, sd: str) -> None:
    report = judged(JudgeRequest(files=(ResultFile(text=table(seeds)),), unit="share"))
    assert f"| none | {seeds} | {mean} ± {sd} |" in report.markdown()


def test_notes_stand_under_their_own_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(table(6, "se", "eca"))
    assert main(["judge", str(file), "--unit", "share"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("se is", "eca is", "  After"))]
    assert [line[:4] for line in told] == ["se i", "  Af", "eca ", "  Af"]


def test_a_bibliography_without_papers_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(table(6))
    assert main(["judge", str(file), "--unit", "share", "--format", "bib"]) == 0
    assert capsys.readouterr().out.startswith("% No attention module")
