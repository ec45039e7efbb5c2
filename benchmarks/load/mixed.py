"""How long clients wait for answers while a study trains on the same machine.

    python -m benchmarks.load.mixed [VARIANTS] [--turns N] [--seconds S] [--clients N]

In each turn 24 clients ask ``python -m server`` as in `benchmarks.load.overload`, within its capacity; first alone,
then beside a study that trains as a job. The study goes on for longer than it is looked at, and then cancelled.
"""

import argparse
import io
import tempfile
import time
import zipfile
from itertools import islice
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

from benchmarks.load.crowd import ANSWERED, Crowd, comparison, quantile
from benchmarks.load.overload import Service, Stretch, running
from benchmarks.load.service import photos
from benchmarks.measure import line

DATA = "noise"
IMAGES = 512
SIDE = 32
STARTED_WITHIN_S = 120.0

STUDY = {
    "data": DATA,
    "variants": ["resnet20/none", "resnet20/se"],
    "recipe": {"epochs": 10_000, "batch_size": 64},
    "seeds": 1,
    "validation": 0.0,
}
"""More epochs than anybody waits for."""


def data_set() -> bytes:
    """A zip of noise in two classes, in a training and a test split."""
    chance, out = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(IMAGES):
            file = io.BytesIO()
            Image.fromarray(chance.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(file, "PNG")
            split, label = "test" if number % 8 == 0 else "train", "one" if number // 8 % 2 else "other"
            archive.writestr(f"{split}/{label}/{number}.png", file.getvalue())
    return out.getvalue()


def started_study(http: httpx2.Client) -> str:
    """The id of a study that trains.

    Raises:
        RuntimeError: it does not, and why.
    """
    job = http.post("/v1/jobs", json={"analysis": "study", "request": STUDY}).raise_for_status().json()
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until:
        seen = http.get(f"/v1/jobs/{job['id']}").json()
        if seen["state"] == "running" and seen["done"] > 0:
            return str(job["id"])
        if seen["state"] not in ("queued", "running"):
            raise RuntimeError(f"The study is {seen['state']}: {seen['error']}")
        time.sleep(0.2)
    raise RuntimeError(f"The study has not begun within {STARTED_WITHIN_S:.0f} s.")


def beside_a_study(service: Service, http: httpx2.Client, crowd: Crowd, clients: int, seconds: float) -> Stretch:
    """What clients see while a study trains from the first second to the last.

    Raises:
        RuntimeError: it does not.
    """
    job = started_study(http)
    stretch = service.load(crowd, clients, seconds)
    if (state := http.get(f"/v1/jobs/{job}").json()["state"]) != "running":
        raise RuntimeError(f"The study did not last: it is {state}.")
    http.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    while http.get(f"/v1/jobs/{job}").json()["state"] == "running":
        time.sleep(0.2)
    return stretch


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variants", nargs="?", default="resnet20/none,resnet20/se,resnet20/eca")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=24)
    chosen = parser.parse_args()
    alone: list[Stretch] = []
    beside: list[Stretch] = []
    some = list(islice(photos(), 16))
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), remember_answers=False) as service:
        crowd = Crowd("127.0.0.1", service.port, comparison(some, chosen.variants))
        with httpx2.Client(base_url=service.url, timeout=120) as http:
            http.post("/v1/datasets", params={"name": DATA}, content=data_set()).raise_for_status()
            service.load(crowd, chosen.clients, 3.0)
            for _ in range(chosen.turns):
                alone.append(service.load(crowd, chosen.clients, chosen.seconds))
                beside.append(beside_a_study(service, http, crowd, chosen.clients, chosen.seconds))
    print(f"{chosen.variants}, {chosen.clients} clients, {chosen.seconds:g} s a turn")
    for name, stretches in (("alone", alone), ("beside a study", beside)):
        failed = sum(answer.status != ANSWERED for one in stretches for answer in one.answers)
        print(line(f"answered, {name}", [one.answered_per_s for one in stretches], f"a second; {failed} not answered"))
        print(line(f"p50, {name}", [quantile(one.settled, 0.5) for one in stretches], "s"))
        print(line(f"p99, {name}", [quantile(one.settled, 0.99) for one in stretches], "s"))
        print(line(f"p99 / p50, {name}", [one.spread for one in stretches], "ratio"))


if __name__ == "__main__":
    main()
