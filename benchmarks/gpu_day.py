"""All that a machine with a GPU has to show, by one command within a time limit.

    python -m benchmarks.gpu_day OUT --data cifar-10-binary.tar.gz [--minutes 9] [--device cuda] [--tiny]

Needs this project (``pip install -e .``) and a torch that has the GPU; what is missing is named first, before any time
is spent. Data: CIFAR-10 as its binary archive (https://www.cs.toronto.edu/~kriz/cifar.html) or as a folder for each
class; without, images are made up and only speeds mean anything. Nothing is downloaded.

In this order, each part in a process of its own, which ends when its time is over:

1. agreement: every number format, recorded forward passes and recorded training steps against plain ones;
2. training: our loop alone, reading of the data for the first and the second time, none, SE and ECA with six seeds;
3. study: all seeds of an arm before the next; it goes on where it was when the command is given again with this OUT;
4. serving: what SE and ECA add to ResNet-50 with recorded passes, by batch;
5. service: 64 clients on the GPU beside the bare network.

OUT has what each part printed, as it was printed, and ``summary.json``, written anew before and after each part:
device, versions, commands, seconds, and how each ended. ``--tiny`` runs every part with the smallest sizes, to try the
command.
"""

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from attention.errors import InvalidRequest
from attention.running.device import best_device, check_device, device_name
from attention.storage.base import write_whole
from benchmarks.training import made_up, write_folder

PACKAGES = ("PIL", "fastapi", "httpx2", "numpy", "safetensors", "scipy", "sqlalchemy", "uvicorn")
"""What is imported by the parts, besides torch."""

ARMS = ("none", "se", "eca", "cbam", "coord", "sk", "danet@tail", "gc", "simam", "static")


@dataclass(frozen=True)
class Part:
    """One question: the commands that answer it, and the share of all time that is kept for it."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    share: float


@dataclass
class Outcome:
    """How a part went."""

    name: str
    commands: tuple[str, ...]
    ended: str = "not begun"
    seconds: float = 0.0


def parts(data: Path, out: Path, device: str, tiny: bool) -> list[Part]:
    """List the parts; with ``tiny``, at the smallest sizes."""
    on = ("--device", device)
    backbone, size, batch = ("resnet20(width=4)", "8", "8") if tiny else ("resnet20", "32", "512")
    sized = ("--size", size, "--batch-size", batch)
    epochs, seeds = ("1", "6") if tiny else ("10", "8")
    ours = ("benchmarks.training", str(data), "--backbone", backbone, *sized, *on, "--without-plain")
    arms = [f"{backbone}/{name}" for name in (ARMS[:2] if tiny else ARMS)]
    study = ("attention", "study", str(data), *arms, *sized, *on, "--epochs", epochs, "--seeds", seeds, "--looks", "1")
    graphs = ("--graphs",) if device.startswith("cuda") else ()
    serving = [
        ("benchmarks.serving", "--batch", size, *on, *graphs, *(("--rounds", "8") if tiny else ()))
        for size in (("1",) if tiny else ("1", "16", "64", "256"))
    ]
    if tiny:
        serving = [(*command, "--backbone", "resnet20(width=4)", "--size", "32") for command in serving]
    crowd = (
        ("resnet20(width=4)/eca", "--clients", "2", "--seconds", "1") if tiny else ("resnet50/eca", "--clients", "64")
    )
    return [
        Part("agreement", (("benchmarks.agree", *on, "--images", "2" if tiny else "24"),), 0.2),
        Part("training", ((*ours, "--epochs", epochs if tiny else "3", "--turns", "2"),), 0.15),
        Part("goals", ((*ours, "--epochs", epochs, "--turns", "0", "--study"),), 0.25),
        Part("study", ((*study, "--by-arm", "--keep", str(out / "study")),), 0.1),
        Part("serving", tuple(serving), 0.15),
        Part("service", (("benchmarks.load.gpu_service", *crowd, *on),), 0.15),
    ]


def run_all(every: Sequence[Part], out: Path, seconds: float, about: dict[str, str]) -> list[Outcome]:
    """Run parts one after the other; a part may use all time but the shares of those after it."""
    until = time.monotonic() + seconds
    outcomes = [Outcome(part.name, tuple(" ".join(command) for command in part.commands)) for part in every]

    def write() -> None:
        summary = {**about, "time_limit_s": seconds, "parts": [asdict(outcome) for outcome in outcomes]}
        write_whole(out / "summary.json", json.dumps(summary, indent=1).encode() + b"\n")

    for number, (part, outcome) in enumerate(zip(every, outcomes, strict=True)):
        kept = seconds * sum(later.share for later in every[number + 1 :])
        began, outcome.ended = time.monotonic(), "running"
        write()
        outcome.ended = run(part, out / f"{number + 1}-{part.name}.txt", until - kept)
        outcome.seconds = round(time.monotonic() - began, 1)
        write()
        print(f"{part.name}: {outcome.ended} after {outcome.seconds} s", flush=True)
    return outcomes


def run(part: Part, path: Path, until: float) -> str:
    """Run a part's commands and write down what they print; says how it ended.

    Args:
        until: when it is ended, on the monotonic clock, seconds.
    """
    with path.open("w") as file:
        for command in part.commands:
            print(f"$ python -m {' '.join(command)}", file=file, flush=True)
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", *command], stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                end(process)
                return "out of time"
            except BaseException:
                end(process)
                raise
            if code:
                return f"failed, exit code {code}"
    return "done"


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started: asked to first, then made to."""
    for told, patience_s in ((signal.SIGINT, 10), (signal.SIGKILL, 10)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, told)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def missing() -> list[str]:
    """Name the packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def main() -> None:
    """Run and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_day", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the results; kept runs of its study are gone on with")
    parser.add_argument(
        "--data", type=Path, help="CIFAR-10: binary archive, or a folder per class; made up if left out"
    )
    parser.add_argument("--minutes", type=float, default=9, help="time limit of all parts together")
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to try the command")
    chosen = parser.parse_args()
    if lacking := missing():
        sys.exit(f"Not installed: {', '.join(lacking)}. Run pip install -e . first.")
    if chosen.data and not chosen.data.exists():
        sys.exit(f"There is no {chosen.data}. Name CIFAR-10's binary archive or a folder with a folder for each class.")
    try:
        check_device(chosen.device)
    except InvalidRequest as error:
        sys.exit(str(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended by a signal; what was measured is kept."))
    chosen.out.mkdir(parents=True, exist_ok=True)
    data = chosen.data or chosen.out / "made-up"
    if not data.exists():
        write_folder(made_up(40, 20, 8) if chosen.tiny else made_up(4096, 1024), data)
    about = {
        "device": device_name(chosen.device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
        "data": data.name,
    }
    outcomes = run_all(parts(data, chosen.out, chosen.device, chosen.tiny), chosen.out, 60 * chosen.minutes, about)
    sys.exit(int(any(outcome.ended.startswith("failed") for outcome in outcomes)))


if __name__ == "__main__":
    main()
