"""Judge my seeds: verdicts on tables of one's own are those of the rule, and what cannot be judged is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from attention.analyses import run
from attention.analyses.judge import judged
from attention.commands import main
from attention.errors import BadTable
from attention.measuring.decision import Rule
from attention.measuring.verdicts import judge_differences
from attention.reports.judge import JudgeReport, JudgeRequest, ResultFile
from tests.attention.direct_lab import DirectLab
from tests.attention.measuring.test_decision import CASES, tables

BASE = [77.1, 76.9, 77.4, 77.0, 76.8, 77.3]
GAIN = [0.62, 0.48, 0.71, 0.55, 0.39, 0.66]
"""Of the first worked example."""


def lines(**arms: list[Any]) -> str:
    rows = [f"{arm},{seed},{score}" for arm, scores in arms.items() for seed, score in enumerate(scores)]
    return "\n".join(["arm,seed,score", *rows])


def plus(gain: list[float], base: list[float] = BASE) -> list[float]:
    return [round(first + second, 6) for first, second in zip(base, gain, strict=False)]


def judge(text: str, **changes: Any) -> JudgeReport:
    return judged(JudgeRequest(files=(ResultFile(text=text),), **changes))


def test_a_table_gets_the_worked_verdict(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"margin": 0.3, "test_images": 10_000, "first_look": 6}
    request = JudgeRequest(files=(ResultFile(text=lines(none=BASE, a=plus(GAIN))),), **asked)
    report = run(request, DirectLab(tmp_path))
    wanted = CASES["1"]["expect"]["a"]
    verdict = report.arms[1].verdict
    assert verdict is not None and verdict.difference is not None and verdict.kind == "better"
    assert (verdict.difference.low, verdict.difference.high) == pytest.approx((wanted["low"], wanted["high"]), abs=1e-6)
    assert verdict.p_adjusted == pytest.approx(wanted["p_adjusted"], abs=1e-6) and verdict.seeds_needed == 6
    assert report.baseline == "none" and report.paired and report.arms[1].seeds == tuple(range(6))
    assert report.headline.startswith("a is better by +0.57 points") and "on these test images" in report.headline


@pytest.mark.full
def test_differences_alone_are_judged_alike() -> None:
    case = CASES["4"]["input"]
    request = JudgeRequest.model_validate(
        {key: case[key] for key in ("differences", "margin", "first_look", "test_images")}
    )
    report = judged(request)
    for arm in report.arms:
        wanted = CASES["4"]["expect"][arm.name]
        assert arm.verdict and arm.verdict.kind == wanted["kind"] and arm.verdict.k == 3 and arm.verdict.difference
        assert arm.verdict.difference.low == pytest.approx(wanted["low"], abs=1e-6)


def test_without_a_first_look_all_seeds_are_the_first_and_it_is_said() -> None:
    base = np.random.default_rng(0).normal(80, 0.3, 10).round(2).tolist()
    report = judge(lines(none=base, a=[score + 0.1 for score in base]), margin=0.3, test_images=10_000)
    verdict = report.arms[1].verdict
    assert verdict and (verdict.n, verdict.look, verdict.next_look) == (10, 1, 20)
    assert any("Taken as the first look at 10 seeds of a plan of 3" in caveat for caveat in report.caveats)
    said = judge(lines(none=base, a=[score + 0.1 for score in base]), margin=0.3, test_images=10_000, first_look=8)
    assert said.arms[1].verdict and said.arms[1].verdict.n == 8
    assert not any("Taken as the first look" in caveat for caveat in said.caveats)


def test_seeds_pair_by_their_number_and_lone_ones_are_listed() -> None:
    rows = [f"none,{seed},{score}" for seed, score in zip([5, 3, 1, 0, 2, 4, 9], [*BASE, 70.0], strict=True)]
    rows += [f"a,{seed},{score}" for seed, score in zip([5, 3, 1, 0, 2, 4, 8], [*plus(GAIN), 99.0], strict=True)]
    report = judge("\n".join(["arm,seed,score", *rows]), margin=0.3, test_images=10_000)
    order = [3, 2, 4, 1, 5, 0]  # where seeds 0 to 5 stand in the columns
    assert report.arms[1].differences == pytest.approx([GAIN[place] for place in order])
    assert "a: seeds of one side only are not used: 8, 9." in report.caveats


def test_three_seeds_get_too_few_seeds_and_the_reason() -> None:
    report = judge(lines(none=BASE[:3], a=plus([9, 9.2, 9.1])), margin=0.3)
    verdict = report.arms[1].verdict
    assert verdict and verdict.kind == "too few seeds" and verdict.difference is None
    assert "n = 3" in verdict.sentence and "3 more" in verdict.sentence
    assert "Fewer than 6 pairs have no interval" in verdict.notes[0]
    assert "Too few seeds" in report.headline


def test_a_table_without_seeds_is_judged_unpaired_and_told_how_to_pair() -> None:
    case = CASES["17"]
    rows = [f"none,{score}" for score in case["input"]["baseline"]] + [f"a,{score}" for score in case["input"]["arm"]]
    report = judge("\n".join(["arm,score", *rows]), margin=0.3)
    verdict = report.arms[1].verdict
    assert verdict and verdict.difference and not report.paired and "unpaired" in verdict.sentence
    found = (verdict.difference.estimate, verdict.difference.low, verdict.difference.high)
    assert found == pytest.approx([case["expect"][name] for name in ("mean", "low", "high")], abs=1e-6)
    assert any("With a column seed" in caveat for caveat in report.caveats)
    assert "Welch's t" in report.latex() and "unpaired runs" in report.markdown()
    more = judge("\n".join(["arm,score", *rows, *rows]), margin=0.3, first_look=6).arms[1].verdict
    assert more and more.n == 12 and "are not used before the next look: 2." in more.notes[1], "14 runs against 12"


def test_answers_on_each_image_widen_the_interval_by_the_images() -> None:
    arm, base = tables(CASES["15"]["input"])
    rows = [
        f"{name},{seed},{100 * row.mean()},{''.join(map(str, row.astype(int)))}"
        for name, table in (("none", base), ("a", arm))
        for seed, row in enumerate(table)
    ]
    report = judge("\n".join(["arm,seed,score,right", *rows]), margin=5, first_look=6)
    wanted, verdict = CASES["16"]["expect"]["a"], report.arms[1].verdict
    assert verdict and verdict.difference and verdict.scope == "seeds and images"
    assert verdict.half_images == pytest.approx(wanted["half_images"], abs=1e-5)
    assert (verdict.difference.low, verdict.difference.high) == pytest.approx((wanted["low"], wanted["high"]), abs=1e-5)
    assert not any("draw of test images" in caveat for caveat in report.caveats)


def with_answers(full_scale: float, less: bool = False) -> str:
    """Example 15 with its scores in a unit: accuracies, or error rates where less is better."""
    arm, base = tables(CASES["15"]["input"])
    rows = [
        f"{name},{seed},{full_scale * (1 - row.mean() if less else row.mean())},{''.join(map(str, row.astype(int)))}"
        for name, table in (("none", base), ("a", arm))
        for seed, row in enumerate(table)
    ]
    return "\n".join(["arm,seed,score,right", *rows])


@pytest.mark.parametrize(
    ("unit", "full_scale", "less"), [("share", 1, False), ("percent", 100, True), ("share", 1, True)]
)
def test_the_part_of_the_images_is_in_the_unit_of_the_scores(unit: str, full_scale: float, less: bool) -> None:
    text, asked = with_answers(full_scale, less), {"margin": 0.05 * full_scale, "first_look": 6}
    report = judge(text, unit=unit, lower_is_better=less, **asked)
    wanted, verdict = CASES["16"]["expect"]["a"], report.arms[1].verdict
    assert verdict and verdict.difference and verdict.half_images and verdict.kind == wanted["kind"]
    ends = (verdict.difference.low, verdict.difference.high)
    assert ends == pytest.approx([full_scale / 100 * wanted[end] for end in ("low", "high")], abs=1e-5 * full_scale)
    assert verdict.p_adjusted == pytest.approx(wanted["p_adjusted"], abs=1e-6)


def test_answers_that_are_not_those_of_the_scores_are_not_used_and_it_is_said() -> None:
    first, *rows = with_answers(100).split("\n")
    turned = [",".join([*row.split(",")[:3], row.rpartition(",")[2].translate({48: 49, 49: 48})]) for row in rows]
    for text, unit, less in (("\n".join([first, *turned]), "points", False), (with_answers(1), "nats", True)):
        report = judge(text, unit=unit, lower_is_better=less, margin=0.05)
        verdict = report.arms[1].verdict
        assert verdict and verdict.half_images == 0 and verdict.scope == "seeds, on these test images"
        assert any("Line 2 of results.csv has the score" in caveat for caveat in report.caveats)
        assert any("draw of test images" in caveat for caveat in report.caveats)


def test_differences_of_a_loss_are_turned_too() -> None:
    report = judged(JudgeRequest(differences={"a": tuple(GAIN)}, margin=0.3, first_look=6, lower_is_better=True))
    verdict, plain = report.arms[0].verdict, CASES["1"]["expect"]["a"]
    assert verdict and verdict.difference and verdict.kind == "worse"
    assert verdict.difference.low == pytest.approx(-plain["high"], abs=1e-6)
    assert report.arms[0].differences == pytest.approx([-gain for gain in GAIN])
    assert any("Lower is better" in caveat for caveat in report.caveats)


@pytest.mark.parametrize(("unit", "less"), [("nats", True), ("points", True), ("F1", False)])
def test_a_unit_in_which_an_image_has_no_worth_says_that_their_number_is_not_used(unit: str, less: bool) -> None:
    text = lines(none=BASE, a=plus(GAIN))
    report = judge(text, unit=unit, lower_is_better=less, test_images=10, majority=0.9)
    assert any(f"What one test image is worth in {unit} is not known" in caveat for caveat in report.caveats)
    assert any("whether anything was learned" in caveat for caveat in report.caveats)


def test_an_error_rate_at_chance_has_not_learned() -> None:
    rates = {"none": [22.9, 23.1, 22.6, 23.0, 23.2, 22.7], "a": [22.1, 22.4, 21.7, 22.2, 22.5, 90.0]}
    report = judge(lines(**rates), unit="percent", lower_is_better=True, margin=0.3, test_images=10_000, majority=0.1)
    assert report.arms[1].verdict and "1 of 6 runs of the arm" in (report.arms[1].verdict.reason or "")


def test_a_run_at_chance_or_diverged_withholds_its_arm() -> None:
    scores = {"none": BASE, "a": [77.9, 77.6, 78.3, 77.8, 77.5, 10.0], "b": [78.0, 77.7, 78.2, 77.9, 77.7, 78.3]}
    report = judge(lines(**scores), margin=0.3, test_images=10_000, majority=0.1)
    kinds = [arm.verdict and arm.verdict.kind for arm in report.arms]
    assert kinds == [None, "withheld", "better"]
    assert report.arms[1].verdict and "did not train" in (report.arms[1].verdict.reason or "")
    rows = lines(**scores).replace("score", "score,status", 1).replace("\na,5,10.0", "\na,5,nan,diverged")
    rows = "\n".join(line if line.count(",") == 3 else f"{line},ok" for line in rows.split("\n"))
    assert judge(rows, margin=0.3).arms[1].verdict.kind == "withheld"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            lines(none=BASE, a=plus(GAIN))
            .replace("score", "score,fold", 1)
            .replace("\n", ",0\n")
            .replace("score,fold,0", "score,fold")
            + ",0",
            "folds",
        ),
        (lines(none=[77.0] * 6, a=[78.0] * 6), "the same score"),
        (
            "arm,seed,epoch,score\n"
            + "\n".join(
                f"{arm},{seed},{epoch},{70 + epoch + seed / 9}"
                for arm in ("none", "a")
                for seed in range(6)
                for epoch in (1, 2)
            ),
            "several epochs",
        ),
    ],
)
def test_runs_that_are_not_independent_are_withheld(text: str, reason: str) -> None:
    verdict = judge(text, margin=0.3, test_images=10_000).arms[1].verdict
    assert verdict is not None and verdict.kind == "withheld" and reason in (verdict.reason or "")


def test_of_several_epochs_the_step_that_is_said_is_judged() -> None:
    rows = [
        f"{arm},{seed},{epoch},{score - 9 * (epoch == 1)}"
        for arm, scores in (("none", BASE), ("a", plus(GAIN)))
        for seed, score in enumerate(scores)
        for epoch in (1, 2)
    ]
    report = judge("\n".join(["arm,seed,epoch,score", *rows]), step=2, margin=0.3)
    assert report.arms[1].verdict and report.arms[1].verdict.kind == "better"
    assert report.arms[1].differences == pytest.approx(GAIN)


def test_where_lower_is_better_a_smaller_loss_is_a_gain() -> None:
    losses = {"none": [0.52, 0.50, 0.55, 0.51, 0.53, 0.54], "a": [0.40, 0.39, 0.44, 0.40, 0.41, 0.43]}
    report = judge(lines(**losses), unit="nats", lower_is_better=True, margin=0.01)
    assert (
        report.arms[1].verdict
        and report.arms[1].verdict.kind == "better"
        and report.arms[1].differences[0] == pytest.approx(0.12)
    )
    assert any("Lower is better" in caveat for caveat in report.caveats)


@pytest.mark.parametrize(
    ("text", "changes", "sentence"),
    [
        (
            lines(none=[0.77, 0.76], a=[0.78, 0.75]),
            {},
            "Line 2 of results.csv: all scores lie in 0 to 1, and the unit is points",
        ),
        (lines(none=[0.77, 76.2], a=[0.78, 0.75]), {"unit": "share"}, "Line 3 of results.csv: 76.2 is no share"),
        (lines(none=BASE), {"step": 9}, "Line 1 of results.csv has no column epoch or step, and so no step 9"),
        (lines(none=[77.1, 76.2], a=[78.3, 0.78]), {}, "Line 5 of results.csv: 0.78 is a share among scores in points"),
        (lines(none=BASE), {}, "all others are of one arm, 'none': nothing to compare"),
        (
            lines(none=BASE, eca=BASE),
            {"baseline": "ecca"},
            "There is no arm 'ecca' to be the baseline. Did you mean 'eca'?",
        ),
        (
            "arm,seed,score,right\nnone,0,50,01\na,0,50,10",
            {"test_images": 3},
            "answers on 2 images, and test_images says 3",
        ),
    ],
)
def test_what_makes_no_sense_is_a_sentence(text: str, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadTable) as raised:
        judge(text, **changes)
    assert sentence in str(raised.value)


def test_more_than_ten_megabytes_are_refused() -> None:
    with pytest.raises(BadTable, match="more than 10 MB"):
        judge(lines(none=BASE) + "\n" * 10_000_001)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"differences": {"a": [1.0]}, "files": ({"text": "x"},)},
        {"differences": {"a": [float("nan")]}},
        {"differences": {"a": [0.1]}, "margin": 0},
        {"differences": {"a": [0.1]}, "first_look": 5},
        {"files": ({"text": "x"},), "pattern": "{arm}"},
    ],
)
def test_a_question_that_says_nothing_or_two_things_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JudgeRequest(**wrong)


def test_tables_for_papers_and_pages() -> None:
    report = judge(lines(none=BASE, a_b=plus(GAIN)), margin=0.3, test_images=10_000)
    latex, markdown = report.latex(), report.markdown()
    assert r"a\_b & 6 & 77.65 $\pm$ 0.35 & +0.57 [+0.40, +0.74] & $<$ 0.001 & better" in latex and r"\toprule" in latex
    for condition in ("95 \\% simultaneous for 1 arm and 3 planned looks", "margin 0.3 points", "n = 6 paired seeds"):
        assert condition in latex
    assert markdown.startswith("| arm | n |") and "| a_b | 6 | 77.65 ± 0.35 |" in markdown and "Bonferroni" in markdown
    assert report.csv().splitlines()[2].startswith("a_b,6,")


@pytest.mark.full
def test_the_command_judges_files_as_the_service_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.csv"
    file.write_text(lines(none=BASE, a=plus(GAIN)))
    options = [str(file), "--margin", "0.3", "--test-images", "10000"]
    assert main(["judge", *options]) == 0
    out = capsys.readouterr().out
    assert "| a | 6 |" in out and "=> a is better by +0.57 points" in out
    assert main(["judge", *options, "-o", str(tmp_path / "text")]) == 0
    assert (tmp_path / "text").read_text() == out
    assert main(["judge", *options, "--format", "json"]) == 0
    told = JudgeReport.model_validate_json(capsys.readouterr().out)
    assert told == judge(file.read_text(), margin=0.3, test_images=10_000)
    assert main(["judge", *options, "--format", "latex"]) == 0 and r"\toprule" in capsys.readouterr().out
    for form in ("md", "csv", "html", "bib"):
        assert main(["judge", *options, "--format", form, "-o", str(tmp_path / form)]) == 0
    assert "| a | 6 |" in (tmp_path / "md").read_text() and "</html>" in (tmp_path / "html").read_text()
    for wrong, sentence in (
        ([str(tmp_path / "none.csv")], "There is no file"),
        ([str(file), "--margin", "0"], "--margin: Input should be greater than 0"),
        ([str(file), "--baseline", "b"], "There is no arm 'b'"),
    ):
        assert main(["judge", *wrong]) == 2 and sentence in capsys.readouterr().err


@pytest.mark.full
def test_the_command_takes_the_question_that_the_service_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, asked = tmp_path / "differences.json", {"differences": {"a": GAIN}, "margin": 0.3, "test_images": 10_000}
    path.write_text(json.dumps(asked))
    assert main(["judge", str(path), "--first-look", "6", "--format", "json"]) == 0
    report = JudgeReport.model_validate_json(capsys.readouterr().out)
    assert report == judged(JudgeRequest.model_validate(asked | {"first_look": 6}))
    assert main(["judge", str(path), "--margin", "5"]) == 0
    assert "no difference larger than 5 points" in capsys.readouterr().out
    for text in ("[1]", "{", '{"differences": {"a": ["x"]}}'):
        path.write_text(text)
        assert main(["judge", str(path)]) == 2


def test_without_a_margin_the_caption_speaks_of_none() -> None:
    caption = judge(lines(none=BASE, a=plus(GAIN))).markdown()
    assert "no margin. A verdict is read off its interval: above zero better" in caption


def test_a_number_of_pairs_between_looks_is_judged_at_the_look() -> None:
    """The same verdict as the rule gives on the first eight of nine seeds."""
    generator = np.random.default_rng(4)
    base, gain = generator.normal(80, 0.3, 9), generator.normal(0.4, 0.2, 9)
    report = judge(lines(none=base.tolist(), a=(base + gain).tolist()), margin=0.3, first_look=8, unit="percent")
    (wanted,) = judge_differences(Rule(1, 8, margin=0.3), {"a": gain[:8].tolist()}, unit="percent").values()
    verdict = report.arms[1].verdict
    assert verdict and verdict.difference and wanted.difference and verdict.kind == wanted.kind
    assert verdict.difference.low == pytest.approx(wanted.difference.low)
    assert any("Seed 8 is not used before the next look" in note for note in verdict.notes)


RECALLS = """arm,seed,score,recall:cat,recall:dog
none,0,77,0.70,0.84
none,1,78,0.72,0.84
se,0,78,0.74,0.82
se,1,79,0.78,0.80
"""


def test_recalls_of_classes_are_described_without_verdicts() -> None:
    report = judge(RECALLS)
    none, se = report.classes
    assert {score.name: score.recall for score in none.classes} == pytest.approx({"cat": 71, "dog": 84})
    assert {score.test_images for score in none.classes} == {None}
    assert none.classes[0].spread == pytest.approx(np.std([70, 72], ddof=1)) and none.classes[0].difference is None
    cat = se.classes[0].difference
    assert cat is not None and cat.estimate == pytest.approx(5), "4 and 6 points on the same seeds"
    assert (se.gains_most, se.loses_most) == ("cat", "dog") and se.balanced_accuracy == pytest.approx(78.5)
    points = RECALLS.replace("0.", "")  # 70 is 70 points
    assert judge(points).classes[0].classes[0].recall == pytest.approx(71)
    assert judge(RECALLS, paired=False).classes[1].classes[0].difference is None
    assert not judge(lines(none=BASE, a=plus(GAIN))).classes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.74,0.82", "0.74,", "Line 4 of results.csv, recall of dog: '' is no number"),
        ("0.74,0.82", "0.74,101", "Line 4 of results.csv: the recall of dog is 101"),
    ],
)
def test_recalls_that_are_none_are_named_by_their_line(old: str, new: str, words: str) -> None:
    with pytest.raises(BadTable, match=words):
        judge(RECALLS.replace(old, new))


def test_a_run_without_recalls_is_left_out_of_the_description() -> None:
    assert judge(RECALLS.replace("0.74,0.82", ",")).classes[1].n == 1
