"""What a network loses without its attention, and the plain network that is left when that is folded away.

    python examples/ablate_and_fold.py

The gallery is 15 photos, so the numbers say little; name a data set of your own instead: images={"data": "pets"}.
"""

from attention import Lab
from attention.data.files import samples


def main() -> None:
    """Replace gates, one stage at a time and all together; then fold their means into the normalisations."""
    lab = Lab("attention_data")  # the folded network is kept there
    photos = lab.photos(*(sample.name for sample in samples()))
    asked = {"variant": "eca", "images": photos, "calibration": photos}

    sweep = lab.sweep(**asked, kinds=("mean", "scalar", "shuffle"), scopes=("stage", "all"))
    print(sweep, "\n")
    for effect in sweep.effects:
        if effect.family == "all":
            print(f"all gates, {effect.kind:<8}: {effect.agreement:.0%} of the photos keep their class")

    fold = lab.fold(**asked, rounds=0)
    print("\n" + str(fold))
    print(f"kept as {fold.kept.name}: {lab.compare(images=photos[:1], variants=[fold.kept.variant]).frame()}")


if __name__ == "__main__":
    main()
