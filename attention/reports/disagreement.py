"""Disagreement's question and answer, as plain data: the images on which networks, or one without attention, differ."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from attention.reports.compare import ClassScore
from attention.reports.parts.subjects import Ran
from attention.reports.writing.tables import Bars, Printed, Report, Table, filled, named, table_of
from attention.spec import AblationKind, Pictures, Plain, Request, Seed, Variant

Rank = Literal["any", "networks", "removal"]
RANKS: dict[Rank, str] = {
    "any": "networks differ, or one of them differs from itself without attention",
    "networks": "networks differ from each other, each as it is",
    "removal": "a network differs from itself without attention",
}


class AskedNetwork(Plain):
    """A network as it is, or without its attention."""

    id: str = Field(description="Unique in the report: the network's short name, and ' without' where it is removed.")
    network: str = Field(description="Short name of the network.")
    removed: AblationKind | None = Field(description="What replaced all of its gates; null for the network as it is.")
    n: int = Field(description="Images.")
    accuracy: float | None = Field(description="Top-1 accuracy, points; null without labels.")


class Agreement(Plain):
    """How often two arms have the same first class, over all images."""

    first: str = Field(description="Id of one arm.")
    second: str = Field(description="Id of the other; it comes later in the order of the arms.")
    n: int = Field(description="Images.")
    same: int = Field(description="Images with the same first class.")
    agreement: float = Field(description="The same as a share, 0..1.")
    kappa: float | None = Field(
        description="Cohen's kappa: agreement beyond what the two would have by chance, 1 for full agreement, 0 for "
        "chance; null where both always answer with one and the same class."
    )
    divergence: float = Field(description="Mean over images of the Jensen-Shannon divergence by its maximum, 0..1.")
    both_right: int | None = Field(description="Images both are right on; null without labels.")
    only_first: int | None = Field(description="Images only the first is right on; null without labels.")
    only_second: int | None = Field(description="Images only the second is right on; null without labels.")
    both_wrong: int | None = Field(description="Images both are wrong on; null without labels.")
    p: float | None = Field(description="Exact McNemar test of equal accuracy, uncorrected; null without labels.")


class Answer(Plain):
    """What one arm says of one image."""

    arm: str = Field(description="Id of the arm.")
    first: ClassScore = Field(description="Its most probable class.")
    true_probability: float | None = Field(description="Probability of the true class, 0..1; null without a label.")
    right: bool | None = Field(description="Whether the first class is the true one; null without a label.")


class Entry(Plain):
    """One image on which arms differ."""

    rank: int = Field(description="Place in the list, from 1.")
    image: str = Field(description="A photo's id, or the image's place in the data set.")
    label: str | None = Field(description="True class; null for photos.")
    score: float = Field(description="What the list is ordered by, largest first, 0..1.")
    networks: float | None = Field(
        description="Jensen-Shannon divergence between the networks as they are, by its maximum, 0..1; null for one."
    )
    removal: float | None = Field(
        description="The largest over networks of the divergence between itself and itself without attention, 0..1; "
        "null where nothing was removed."
    )
    first_classes: int = Field(description="How many different first classes the networks as they are have.")
    flips: tuple[str, ...] = Field(description="Short names of the networks whose first class removal changes.")
    answers: tuple[Answer, ...] = Field(description="Every arm, in their order.")
    thumbnail: str | None = Field(description="The image as a small JPEG, base64; null if none was asked for.")


class Flips(Plain):
    """What taking its attention away does to one network's first classes."""

    network: str = Field(description="Short name of the network.")
    n: int = Field(description="Images.")
    flipped: int = Field(description="Images whose first class changes.")
    share: float = Field(description="The same as a share, 0..1.")
    to_right: int | None = Field(description="Of them, wrong as it is and right without; null without labels.")
    to_wrong: int | None = Field(description="Of them, right as it is and wrong without; null without labels.")


class DisagreementReport(Report):
    """The answer of disagreement: how often arms differ, and the images on which they differ most."""

    headline: str = Field(description="The main finding, in words.")
    networks: tuple[Ran, ...] = Field(description="The networks in the order asked for.")
    arms: tuple[AskedNetwork, ...] = Field(description="Each network as it is, then without attention if it has any.")
    pairs: tuple[Agreement, ...] = Field(description="Every two arms once, in their order.")
    flips: tuple[Flips, ...] = Field(description="Every network whose attention was taken away.")
    entries: tuple[Entry, ...] = Field(description="The images on which arms differ in their first class, ranked.")
    differing: int = Field(description="How many such images there are, listed or not.")
    rank_by: Rank = Field(description="Which differences make the list.")
    removal: AblationKind | None = Field(description="What replaced the gates.")
    images: str = Field(description="The images, in words.")
    calibration: str | None = Field(description="The images whose gates were put in, in words; null if none were.")
    n: int = Field(description="Images tried so far.")
    labelled: bool = Field(description="Whether all images have classes that are the networks'.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the numbers.")
    methods: str = Field(description="How scores were computed, with their sources.")
    complete: bool = Field(description="Whether all images were tried.")

    def tables(self) -> tuple[Table, ...]:
        """Every listed image with three columns for each arm, then every two arms, and what removal changes."""
        parts = [f"{arm.id}: {part}" for arm in self.arms for part in ("class", "probability", "right")]
        rows = []
        for entry in self.entries:
            scores = (entry.rank, entry.image, entry.label, entry.score, entry.networks, entry.removal)
            cells = [
                part
                for answer in entry.answers
                for part in (_called(answer.first), answer.first.probability, answer.right)
            ]
            rows.append((*scores, " ".join(entry.flips), *cells))
        columns = named("rank", "image", "label", "score", "networks", "removal", "flips", *parts)
        bars = Bars(label="image", value="score")
        entries = Table(
            name="entries",
            caption=f"{self.headline} {self.methods}".strip(),
            columns=columns,
            rows=tuple(rows),
            printed=self._printed(),
            bars=bars,
        )
        return filled(entries, table_of("pairs", self.pairs), table_of("flips", self.flips))

    def _printed(self) -> Printed:
        rows = []
        for entry in self.entries:
            answers = [f"{_called(answer.first)} {answer.first.probability:.2f}" for answer in entry.answers]
            rows.append((str(entry.rank), entry.image, entry.label or "--", f"{entry.score:.3f}", *answers))
        head = ("rank", "image", "class", "score", *(arm.id for arm in self.arms))
        return Printed(head=head, rows=tuple(rows))


def _called(score: ClassScore) -> str | int:
    return score.index if score.label is None else score.label


class DisagreementRequest(Request[DisagreementReport]):
    """On which images do these networks disagree, or change their answer when their attention is taken away?"""

    examples: ClassVar = (
        {"variants": ["none", "se", "eca"], "images": {"data": "flowers", "limit": 1000}, "limit": 24},
    )
    slow: ClassVar = True

    images: Pictures = Field(description="The images they are tried on: of a data set, or photos by id.")
    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("none"), Variant.parse("se"), Variant.parse("eca")),
        min_length=1,
        max_length=8,
        description="Networks that tell the same classes apart, as objects or short names.",
    )
    removal: AblationKind | None = Field(
        default="mean",
        description="What replaces all gates of each network to take its attention away; null to leave that out.",
    )
    calibration: Pictures | None = Field(
        default=None,
        description="Images whose gates kinds 'mean' and 'other_image' put in. If not said: those of the same data set "
        "to train on, or the sample photos where the question is about photos.",
    )
    value: float = Field(default=0.5, allow_inf_nan=False, description="The value of kind 'constant'.")
    seed: Seed = Field(default=0, description="Seed of kind 'shuffle', and of the choice of kind 'other_image'.")
    rank_by: Rank = Field(default="any", description="Which differences make the list, and its order.")
    limit: int = Field(default=48, ge=1, le=500, description="Most images in the list.")
    thumbnail: int = Field(
        default=96, ge=0, le=256, description="Longest side of the thumbnails, pixels; 0 for none. Never enlarged."
    )

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("A network is named twice; it would agree with itself.")
        if len(self.variants) == 1 and self.removal is None:
            raise ValueError("One network has nothing to disagree with: name another, or one with attention to remove.")
        if self.rank_by == "networks" and len(self.variants) < 2:
            raise ValueError("rank_by 'networks' needs at least two networks.")
        if self.rank_by == "removal" and self.removal is None:
            raise ValueError("rank_by 'removal' needs a kind of removal, and a network with attention.")
        return self
