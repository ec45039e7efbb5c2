"""Tables of results: each format as its tool writes it, and a sentence with the line for what cannot be judged."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from attention.data.result_tables import read_results
from attention.data.result_tables.runs import Result
from attention.errors import BadTable
from attention.reports.judge import JudgeRequest, ResultFile

SCORES = {"none": [77.1, 76.9, 77.4], "eca": [77.7, 77.4, 78.1]}


def ask(*texts: str, names: Iterable[str] = (), **changes: Any) -> JudgeRequest:
    called = [*names, *(f"file{number}.csv" for number in range(len(texts)))]
    files = tuple(ResultFile(name=name, text=text) for name, text in zip(called, texts, strict=False))
    return JudgeRequest(files=files, **changes)


def scores(runs: Iterable[Result]) -> dict[str, dict[int | None, float | None]]:
    by_arm: dict[str, dict[int | None, float | None]] = {}
    for run in runs:
        by_arm.setdefault(run.arm, {})[run.seed] = run.score
    return by_arm


def wanted(of: Mapping[str, list[float]] = SCORES) -> dict[str, dict[int, float]]:
    return {arm: dict(enumerate(column)) for arm, column in of.items()}


def own(rows: str, head: str = "arm,seed,score") -> str:
    return f"{head}\n{rows}\n"


def test_a_table_of_runs() -> None:
    rows = "\n".join(f"{arm},{seed},{score}" for arm, of in SCORES.items() for seed, score in enumerate(of))
    assert scores(read_results(ask(own(rows))).runs) == wanted()
    for other in (
        own(rows).replace(",", ";"),
        own(rows).replace(",", "\t"),
        "\ufeff" + own(rows).replace("\n", "\r\n"),
    ):
        assert scores(read_results(ask(other)).runs) == wanted()
    shouted = own(rows, "Arm,SEED,Score")
    assert scores(read_results(ask(shouted)).runs) == wanted()


def test_tables_as_other_programs_and_countries_write_them() -> None:
    rows = "\n".join(f"{arm};{seed};{score}" for arm, of in SCORES.items() for seed, score in enumerate(of))
    for other in (
        "arm;seed;score\n" + rows.replace(".", ","),
        "arm\tseed\tscore\n" + rows.replace(".", ",").replace(";", "\t"),
        "\n\narm;seed;score\n\n" + rows,
    ):
        assert scores(read_results(ask(other)).runs) == wanted()
    named = "model;random_seed;test_acc\n" + rows
    timed = "model,Wall time,Value\nnone,1654943296,77.1\neca,1654943297,77.7"
    assert scores(read_results(ask(timed, arm_column="model", score="Value")).runs) == {
        "none": {None: 77.1},
        "eca": {None: 77.7},
    }
    chosen = ask(named, arm_column="model", seed_column="random_seed", score="test_acc")
    assert scores(read_results(chosen).runs) == wanted()
    with pytest.raises(BadTable, match=r"It has: model, random_seed, test_acc\. Say which of them are arm"):
        read_results(ask(named))


def test_a_column_that_is_asked_for_stands_for_one_of_that_name() -> None:
    text = own("none,0,50,77.1,x\neca,0,51,77.4,x", "arm,seed,score,top5,name")
    assert scores(read_results(ask(text, score="top5")).runs) == {"none": {0: 77.1}, "eca": {0: 77.4}}
    assert scores(read_results(ask(text.replace("arm,", "Arm,"), arm_column="Arm")).runs)["eca"] == {0: 51}
    for asked in ({"score": "topp5"}, {"arm_column": "topp5"}, {"seed_column": "topp5"}):
        with pytest.raises(BadTable, match="Line 1 of file0.csv has no column 'topp5'. Did you mean 'top5'?"):
            read_results(ask(text, **asked))
    assert scores(read_results(ask(text, arm_column="name", score="top5", seed_column="score")).runs) == {
        "x": {50: 77.1, 51: 77.4}
    }


def test_a_step_is_taken_of_every_run_or_none() -> None:
    rows = [f"{arm},{seed},{step},{70 + step},ok" for arm in ("none", "eca") for seed in (0, 1) for step in (1, 2, 3)]
    head = "arm,seed,epoch,score,status"
    assert {run.score for run in read_results(ask(own("\n".join(rows), head), step=2)).runs} == {72}
    with pytest.raises(BadTable, match="Line 12 of file0.csv: arm 'eca', seed 1 has no step 3; its last is 2."):
        read_results(ask(own("\n".join(rows[:-1]), head), step=3))
    rows[-2:] = ["eca,1,2,nan,diverged"]
    assert scores(read_results(ask(own("\n".join(rows), head), step=3)).runs)["eca"] == {0: 73, 1: None}


def test_a_run_that_diverged_has_no_score() -> None:
    text = own("none,0,77.1,ok\nnone,1,nan,diverged\neca,0,,diverged", "arm,seed,score,status")
    assert scores(read_results(ask(text)).runs) == {"none": {0: 77.1, 1: None}, "eca": {0: None}}


def test_answers_on_each_image_in_a_column_or_a_file_of_their_own() -> None:
    column = own("none,0,75,1101\neca,0,50,0110", "arm,seed,score,right")
    runs = read_results(ask(column)).runs
    assert [list(map(int, run.right if run.right is not None else ())) for run in runs] == [[1, 1, 0, 1], [0, 1, 1, 0]]
    answers = "arm,seed,image,right\n" + "\n".join(
        f"{arm},0,{image},{bit}"
        for arm, bits in (("eca", "0110"), ("none", "1101"))
        for image, bit in zip("dabc", bits, strict=True)
    )
    both = read_results(ask(own("none,0,75\neca,0,50"), answers)).runs
    assert [list(map(int, run.right if run.right is not None else ())) for run in both] == [[1, 0, 1, 1], [1, 1, 0, 0]]


def tensorboard(values: Iterable[float]) -> str:
    lines = [f"1654943296.{step},{step},{value}" for step, value in enumerate(values)]
    return "\n".join(["Wall time,Step,Value", *lines, ""])


def test_tensorboards_scalars_are_a_file_a_run_and_its_name_says_which() -> None:
    names = [f"run-{arm}-s{seed}-tag-val_accuracy.csv" for arm in SCORES for seed in range(3)]
    texts = [tensorboard([50, 60, score]) for of in SCORES.values() for score in of]
    results = read_results(ask(*texts, names=names))
    assert scores(results.runs) == wanted() and results.source == "TensorBoard's scalars"
    assert read_results(ask(*texts, names=names, score="Value")).runs == results.runs
    earlier = read_results(ask(*texts, names=names, step=1)).runs
    assert {run.score for run in earlier} == {60}
    with pytest.raises(BadTable, match="has no step 7; its last is 2"):
        read_results(ask(*texts, names=names, step=7))


def test_a_chart_of_weights_and_biases_has_runs_side_by_side() -> None:
    names = [f"{arm}_seed{seed}" for arm in SCORES for seed in range(3)]
    head = ["Step", *(f"{name} - val/acc{end}" for name in names for end in ("", "__MIN", "__MAX"))]
    last = [score for of in SCORES.values() for score in of]
    rows = [[str(step), *(str(value) for score in last for value in (score - 9 + step,) * 3)] for step in range(10)]
    rows[9][1:4] = ["", "", ""]  # the first run ended a step before the others
    text = "\n".join(",".join(json.dumps(cell) for cell in row) for row in [head, *rows])
    found = scores(read_results(ask(text)).runs)
    assert found["none"][0] == pytest.approx(76.1) and found["eca"] == pytest.approx(wanted()["eca"])
    grouped = text.replace('"none_', '"Name: none_').replace('"eca_', '"Name: eca_')
    assert scores(read_results(ask(grouped)).runs) == found
    two = text.replace("none_seed1 - val/acc", "none_seed1 - val/loss")
    with pytest.raises(BadTable, match="2 metrics, so say which is the score. There is: val/acc, val/loss"):
        read_results(ask(two))
    assert 1 not in scores(read_results(ask(two, score="val/acc")).runs)["none"]
    ends = "Runs end at different steps, 8 (arm 'none', seed 0) to 9; the last of each was taken."
    assert any(sentence.startswith(ends) for sentence in read_results(ask(text)).left_out)
    assert not read_results(ask(text, step=8)).left_out
    with pytest.raises(BadTable, match="no column 'model' in file0.csv. Runs of this export have names only"):
        read_results(ask(text, arm_column="model"))


MLFLOW_PAGE = """Start Time,Duration,Run ID,Name,Source Type,Source Name,User,Status,module,seed,acc,loss
2026-01-02 03:04:05,1.0min,a1,eca-s0,LOCAL,train.py,me,FINISHED,eca,0,77.7,0.9
2026-01-02 03:06:05,1.0min,a2,none-s0,LOCAL,train.py,me,FINISHED,none,0,77.1,0.8
2026-01-02 03:08:05,1.0min,a3,trial,LOCAL,train.py,me,FINISHED,none,1,76.9,0.8
2026-01-02 03:10:05,1.0min,a4,eca-s1,LOCAL,train.py,me,FAILED,eca,1,,
"""
MLFLOW_API = """run_id,status,start_time,end_time,metrics.acc,params.module,params.seed,tags.mlflow.runName
a1,FINISHED,t,t,77.7,eca,0,calm-cat-1
a2,FINISHED,t,t,77.1,none,0,calm-cat-2
a3,FINISHED,t,t,76.9,none,1,calm-cat-3
"""


def test_mlflows_runs_are_named_by_columns_or_by_their_names() -> None:
    by_name = read_results(ask(MLFLOW_PAGE, score="acc"))
    assert scores(by_name.runs) == {"eca": {0: 77.7}, "none": {0: 77.1}}
    assert any(
        "'trial' names neither arm nor seed" in sentence and "Line 4" in sentence for sentence in by_name.left_out
    )
    assert any("eca-s1 is FAILED" in sentence for sentence in by_name.left_out)
    columns = {"arm_column": "module", "seed_column": "seed"}
    assert scores(read_results(ask(MLFLOW_PAGE, score="acc", **columns)).runs)["none"] == {0: 77.1, 1: 76.9}
    columns = {"arm_column": "params.module", "seed_column": "params.seed"}
    assert scores(read_results(ask(MLFLOW_API, **columns)).runs) == {"eca": {0: 77.7}, "none": {0: 77.1, 1: 76.9}}
    names = MLFLOW_API.replace("calm-cat-1", "trial-s0").replace("calm-cat-2", "old-s1").replace("calm-cat-3", "x-s2")
    mixed = read_results(ask(names, arm_column="params.module"))
    assert scores(mixed.runs) == {"eca": {0: 77.7}, "none": {1: 77.1, 2: 76.9}}, "the arm is the column's"
    empty = read_results(ask(MLFLOW_API.replace("76.9,none,1", "76.9,none,"), **columns))
    assert len(empty.runs) == 2 and "Line 4" in empty.left_out[0]
    with pytest.raises(BadTable, match="last value of each metric only, so there is no step 3"):
        read_results(ask(MLFLOW_API, step=3, **columns))
    with pytest.raises(BadTable, match="say which is the score. It has: Start Time, .*acc, loss"):
        read_results(ask(MLFLOW_PAGE))
    with pytest.raises(BadTable, match="There is no column 'params.modul' in .*. Did you mean 'params.module'"):
        read_results(ask(MLFLOW_API, arm_column="params.modul", seed_column="params.seed"))


def test_a_pattern_says_how_runs_are_called_and_what_does_not_match_is_listed() -> None:
    names = ["seed=0.resnet50/eca.csv", "seed=1.resnet50/eca.csv", "warmup.csv"]
    results = read_results(
        ask(*[tensorboard([1, 77])] * 3, names=[name.replace("/", "_") for name in names], pattern="seed={seed}.{arm}")
    )
    assert scores(results.runs) == {"resnet50_eca": {0: 77, 1: 77}}
    assert results.left_out == ("Run 'warmup' of warmup.csv names neither arm nor seed.",)
    with pytest.raises(BadTable, match="No run has a score. Run 'resnet50' of resnet50.csv names neither"):
        read_results(ask(tensorboard([1, 2]), names=["resnet50.csv"]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "arm,seed\nnone,0",
            "Line 1 of file0.csv has no column score, and is of no export known here. It has: arm, seed",
        ),
        ("", "Line 1 of file0.csv has no column arm and no column score"),
        (own("none,0,77.1\nnone,0,77.2"), "Line 3 of file0.csv repeats arm 'none', seed 0, as Line 2 of file0.csv"),
        (
            own("none,0,77.1\nnone,1,nan"),
            "Line 3 of file0.csv: the score is nan. If the run diverged, give it the status",
        ),
        (own("none,0,-inf"), "Line 2 of file0.csv: the score is -inf"),
        (own("none,0,77.1 %"), "Line 2 of file0.csv: '77.1 %' is no number"),
        (own("none,a,77.1"), "Line 2 of file0.csv: 'a' is no seed"),
        (own(",0,77.1"), "Line 2 of file0.csv names no arm"),
        (own("none,0"), "Line 2 of file0.csv has 2 cells; the first line has 3"),
        (own('none,0,"77.1'), "of file0.csv is not CSV"),
        (own("none,0,7,0,8", "arm,seed,score,seed,x"), "Line 1 of file0.csv names a column twice"),
        (own("none,0,77.1,crashed", "arm,seed,score,status"), "a status is ok or diverged, not 'crashed'"),
        (own("none,0,50,01\nnone,1,50,011", "arm,seed,score,right"), "Line 3 of file0.csv has answers on 3 images"),
        (own("none,0,50,0x", "arm,seed,score,right"), "right is a 0 or 1 for each test image"),
    ],
)
def test_what_cannot_be_judged_is_said_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(BadTable) as raised:
        read_results(ask(text))
    assert sentence in str(raised.value)


def test_answers_of_a_run_without_a_score_or_on_other_images_are_said() -> None:
    runs = own("none,0,77.1\neca,0,77.4")
    with pytest.raises(BadTable, match="Line 2 of file1.csv has answers of arm 'se', seed 0, which has no score"):
        read_results(ask(runs, "arm,seed,image,right\nse,0,a,1"))
    with pytest.raises(BadTable, match="Line 3 of file1.csv: arm 'eca', seed 0 has answers on other images"):
        read_results(ask(runs, "arm,seed,image,right\nnone,0,a,1\neca,0,b,1"))
    with pytest.raises(BadTable, match="Line 3 of file1.csv repeats image 'a'"):
        read_results(ask(runs, "arm,seed,image,right\nnone,0,a,1\nnone,0,a,1"))


def test_noise_never_ends_in_anything_but_a_sentence() -> None:
    generator = np.random.default_rng(0)
    letters = np.array(list('arm,seedscore\n";\t0123456789.-naif \ufeff'))
    for _ in range(300):
        text = "arm,seed,score\n" * int(generator.integers(0, 2)) + "".join(generator.choice(letters, 40))
        try:
            read_results(ask(text))
        except BadTable as error:
            assert str(error)[0].isupper()
