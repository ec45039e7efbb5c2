"""Whether a service stays within its memory budget that is asked about one network after another.

    python -m benchmarks.load.soak [--networks N] [--memory-mb N]

``python -m server`` answers comparisons by four clients, each about a network that no other question names, with photos
that are all different. Its memory is read after each question, the shares in ``/metrics`` after every eighth. It is
within the budget when its shares together were never above it, nor the growth of the process since the first networks.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.load.overload import running
from benchmarks.load.service import photos

CLIENTS = 4
FIRST = 16
"""Networks that are asked about before the memory counts: libraries take theirs with the first passes."""

READ_EVERY = 8
"""Questions after which the shares are read."""

MODULES = ("none", "se", "eca", "cbam", "coord", "srm", "gct", "simam")
BACKBONES = ("resnet20(width=32)", "resnet18(width=0.5)")


class Soak(NamedTuple):
    """What a service held while it was asked."""

    budget_mb: float
    shares_mb: dict[str, float]
    """The most that each share held, megabytes."""
    together_mb: float
    """The most that all of them held at one time, megabytes."""
    first_mb: float
    """Memory of the process after the first networks, megabytes."""
    most_mb: float
    """The most memory that the process had, megabytes."""

    @property
    def within(self) -> bool:
        """Whether it stayed within its budget."""
        return self.together_mb <= self.budget_mb and self.most_mb - self.first_mb <= self.budget_mb


def networks() -> Iterator[str]:
    """Names of networks without end, no two alike."""
    for seed in itertools.count():
        for backbone, module in itertools.product(BACKBONES, MODULES):
            yield f"{backbone}/{module}?classes=100&seed={seed}"


def soak(names: Iterable[str], memory_bytes: int) -> Soak:
    """Ask a service with so large a budget about networks.

    Raises:
        RuntimeError: a question was not answered.
    """
    settings = {"memory_bytes": memory_bytes, "threads": 1, "device": "cpu"}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), **settings) as service:
        with (
            httpx2.Client(base_url=service.url, timeout=300) as http,
            ThreadPoolExecutor(CLIENTS) as clients,
        ):

            def ask(given: tuple[int, str, bytes]) -> tuple[float, dict[str, float]]:
                number, name, photo = given
                answer = http.post("/v1/compare", files={"image": photo}, data={"variants": json.dumps([name])})
                if not answer.is_success:
                    raise RuntimeError(f"{name}: {answer.status_code} {answer.text}")
                return service.rss_mb, {} if number % READ_EVERY else shares(http)

            asked = zip(itertools.count(), names, photos(), strict=False)
            seen = list(clients.map(ask, asked))
    held = [parts for _, parts in seen if parts]
    return Soak(
        memory_bytes / 1e6,
        {share: max(parts[share] for parts in held) for share in held[0]},
        max(sum(parts.values()) for parts in held),
        max(rss for rss, _ in seen[:FIRST]),
        max(rss for rss, _ in seen),
    )


def shares(http: httpx2.Client) -> dict[str, float]:
    """What each share of the budget holds, megabytes."""
    samples = (
        sample
        for family in text_string_to_metric_families(http.get("/metrics").text)
        for sample in family.samples
        if sample.name == "attention_memory_bytes"
    )
    return {sample.labels["share"]: sample.value / 1e6 for sample in samples}


def main() -> int:
    """Soak and print; 1 if the budget was exceeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", type=int, default=3000)
    parser.add_argument("--memory-mb", type=int, default=256, help="the budget, megabytes")
    chosen = parser.parse_args()
    told = soak(itertools.islice(networks(), chosen.networks), chosen.memory_mb * 1_000_000)
    print(f"{chosen.networks:,} networks, a budget of {told.budget_mb:.0f} MB")
    print("most of each share, MB: " + ", ".join(f"{share} {size:.1f}" for share, size in told.shares_mb.items()))
    print(f"most of all shares at one time: {told.together_mb:.1f} MB")
    print(f"memory of the process: {told.first_mb:.0f} MB after {FIRST} networks, at most {told.most_mb:.0f} MB")
    print("within the budget" if told.within else "NOT within the budget")
    return int(not told.within)


if __name__ == "__main__":
    sys.exit(main())
