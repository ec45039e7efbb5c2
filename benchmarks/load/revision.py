"""CPU time of POST /v1/compare in this checkout beside another one, such as the code before a change.

    git worktree add ../before REVISION
    python -m benchmarks.load.revision ../before [--turns N] [--photos N]

Each checkout answers through its own application in a process of its own, with the same packages; they take turns.
Every photo is another one, and asks three networks of ResNet-20 without trained weights, which both checkouts know.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import line, paired_ratio

HERE = Path(__file__).parents[2]
NETWORKS = "resnet20(width=8)/none,resnet20(width=8)/se,resnet20(width=8)/eca"
ANSWER = """
import io, sys, tempfile, time
from pathlib import Path
import numpy as np
from PIL import Image
from starlette.testclient import TestClient
from server.app import create_app
from server.settings import Settings

def photo(number):
    content = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((320, 240)).save(content, "JPEG")
    return content.getvalue()

number = 0
with TestClient(create_app(Settings(data=Path(tempfile.mkdtemp()), device="cpu", threads=1, jobs=0))) as client:
    for asked in sys.stdin:
        photos = [photo(number + step) for step in range(int(asked))]
        number += len(photos)
        began = time.process_time()
        for content in photos:
            answer = client.post(
                "/v1/compare", files={"image": ("photo.jpg", content)}, data={"variants": sys.argv[1]}
            )
            assert answer.status_code == 200, answer.text
        print((time.process_time() - began) / len(photos) * 1e3, flush=True)
"""
"""Answers as many photos as each line of standard input says, and prints the CPU milliseconds of one."""


class Checkout:
    """A process that answers with the code of a checkout."""

    def __init__(self, tree: Path) -> None:
        command = [sys.executable, "-c", ANSWER, NETWORKS]
        self.process = subprocess.Popen(command, cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def cpu_ms(self, photos: int) -> float:
        """CPU milliseconds for each of so many photos."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(photos, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """Stop the process that answers for this checkout."""
        self.process.communicate()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--photos", type=int, default=40, help="of a turn")
    given = parser.parse_args()
    checkouts = {"before": Checkout(given.before), "now": Checkout(HERE)}
    for checkout in checkouts.values():
        checkout.cpu_ms(given.photos)  # the first passes make what is kept
    times: dict[str, list[float]] = {name: [] for name in checkouts}
    for _ in range(given.turns):
        for name, checkout in checkouts.items():
            times[name].append(checkout.cpu_ms(given.photos))
    for name, taken in times.items():
        print(line(name, taken))
    print(paired_ratio("now / before", times["now"], times["before"]))
    for checkout in checkouts.values():
        checkout.close()


if __name__ == "__main__":
    main()
