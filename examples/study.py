"""A whole study in a minute: three networks, the same seeds, and what their differences allow to say.

    python examples/study.py

The images are drawn here, dark ones and light ones; put a folder of your own under datasets/ in their place.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from attention import Lab

FOLDER = Path("attention_data")


def draw(name: str, count: int) -> None:
    """Write a data set: a folder a split, in it a folder a class."""
    for split, some in (("train", count), ("test", count // 2)):
        for label, level in (("dark", 80), ("light", 120)):
            place = FOLDER / "datasets" / name / split / label
            place.mkdir(parents=True, exist_ok=True)
            for number in range(some):
                seed = [number, level, split == "test"]
                pixels = np.random.default_rng(seed).normal(level, 60, (12, 12, 3)).clip(0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


def main() -> None:
    """Train, judge, and print the table."""
    draw("shades", 16)
    lab = Lab(FOLDER, device="cpu")
    report = lab.study(
        data="shades",
        size=12,
        variants=("resnet20(width=4)/none", "resnet20(width=4)/se", "resnet20(width=4)/eca"),
        seeds=3,
        recipe={"epochs": 2, "batch_size": 16, "lr": 0.05, "crop_padding": 0},
    )
    print(report, "\n")
    print(report.markdown())
    print(report.csv("runs"))


if __name__ == "__main__":
    main()
