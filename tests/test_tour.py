"""The evening tour leads to files that are there, with the lines it says, and fits an evening."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOUR = (ROOT / "docs" / "TOUR.md").read_text("utf-8")


def test_the_tour_says_each_file_as_long_as_it_is_and_fits_an_evening() -> None:
    lines = {path: int(count) for path, count in re.findall(r"\| \[`([^`]+)`\]\([^)]+\) \| (\d+) \|", TOUR)}
    actual = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in lines}
    assert {path: count for path, count in lines.items() if abs(count - actual[path]) > 0.1 * count} == {}
    assert len(lines) >= 20 and sum(actual.values()) <= 5000
