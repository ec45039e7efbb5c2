"""What a network loses without its attention: the questions with their answers, as plain data.

``sweep`` is about many images and is a job; ``whatif`` is about a few photos and is answered at once. Both replace the
same sets of gates, here called scopes, by the same kinds of replacement.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from attention.reports.compare import ClassScore
from attention.reports.gates import GateSite
from attention.reports.parts.evidence import Interval
from attention.reports.writing.captions import p_text, percent
from attention.reports.writing.tables import Bars, Printed, Report, Table, filled, table_of
from attention.spec import AblationKind, PhotoId, Pictures, Plain, Request, Seed, Variant

Family = Literal["gate", "stage", "all", "first_to_last", "last_to_first", "set"]
FAMILIES: dict[Family, str] = {
    "gate": "each gate alone",
    "stage": "all gates of a stage",
    "all": "every gate of the network",
    "first_to_last": "cumulative: the first gate, the first two, and so on to all of them",
    "last_to_first": "cumulative: the last gate, the last two, and so on to all of them",
    "set": "a set of gates that was asked for",
}

Measure = Literal["accuracy", "true_probability", "kl"]
Reading = Literal["redundant", "overlapping", "undecided"]


class Interventions(Plain):
    """Which gates are replaced, and by what."""

    variant: Variant = Field(description="The network, as an object or a short name; it must have attention.")
    kinds: tuple[AblationKind, ...] = Field(
        default=("mean", "scalar", "other_image", "shuffle"),
        min_length=1,
        max_length=6,
        description="What replaces the gates; each kind answers another question. 'constant' and 'neutral' are about "
        "scale rather than attention, so they must be asked for.",
    )
    sets: tuple[Annotated[tuple[str, ...], Field(min_length=1, max_length=512)], ...] = Field(
        default=(), max_length=16, description="More sets of gates, by their paths or prefixes such as 'layer4'."
    )
    calibration: Pictures | None = Field(
        default=None,
        description="Images whose gates kinds 'mean' and 'other_image' put in. If not said: those of the same data set "
        "to train on, or the sample photos where the question is about photos.",
    )
    value: float = Field(default=0.5, ge=-1000, le=1000, description="The value of kind 'constant'.")
    seed: Seed = Field(default=0, description="Seed of kind 'shuffle', and of the choice of kind 'other_image'.")


class LabelledSite(GateSite):
    """A gate and where it sits, with a short name of its own."""

    label: str = Field(description="Short name: stage.block, with more where a block has several gates.")


class Scope(Plain):
    """A set of gates that are replaced together."""

    id: str = Field(
        description="Unique in the report, such as gate:layer1.0.standard.0.gate, stage:2, all, first_to_last:3, set:1."
    )
    family: Family = Field(description="What kind of set it is.")
    label: str = Field(description="Short name for a picture.")
    stage: int | None = Field(description="The stage, for a single gate or a stage; null for other sets.")
    order: int = Field(description="Place within its family, from 0: of gates and stages from input to output.")
    gates: tuple[str, ...] = Field(description="Paths of the gates, from input to output.")


class Effect(Plain):
    """What replacing the gates of one scope by one kind changes, over all images, against the untouched network."""

    scope: str = Field(description="Id of the scope.")
    family: Family = Field(description="The scope's.")
    label: str = Field(description="The scope's.")
    stage: int | None = Field(description="The scope's.")
    order: int = Field(description="The scope's.")
    gates: int = Field(description="How many gates were replaced.")
    kind: AblationKind = Field(description="By what.")
    reestimated: bool = Field(description="Whether batch normalisations were estimated anew with the gates replaced.")
    n: int = Field(description="Images.")
    accuracy: float | None = Field(description="Top-1 accuracy with the gates replaced, points; null without labels.")
    accuracy_change: Interval | None = Field(
        description="Change of top-1 accuracy in points, negative for a loss, with its interval over paired images; "
        "null without labels."
    )
    lost: int | None = Field(description="Images right when untouched and wrong when replaced; null without labels.")
    gained: int | None = Field(description="Images wrong when untouched and right when replaced; null without labels.")
    p: float | None = Field(description="Exact McNemar test of no change of accuracy; null without labels.")
    p_holm: float | None = Field(description="The same, corrected by Holm for all effects of the report.")
    agreement: float = Field(description="Share of images whose first class stays the same, 0..1.")
    kl: float = Field(description="Mean over images of KL(untouched || replaced) between the predictions, nats.")
    kl_low: float | None = Field(description="Lower end of its bootstrap interval; null below 30 images.")
    kl_high: float | None = Field(description="Upper end of its bootstrap interval; null below 30 images.")
    true_change: float | None = Field(
        description="Mean change of the true class's probability, -1..1; null without labels."
    )
    true_low: float | None = Field(description="Lower end of its bootstrap interval; null below 30 images.")
    true_high: float | None = Field(description="Upper end of its bootstrap interval; null below 30 images.")


class Redundancy(Plain):
    """The effect of replacing gates together, against the sum of the effects of replacing each of them alone."""

    scope: str = Field(description="Id of the scope: a stage, or all.")
    label: str = Field(description="The scope's.")
    stage: int | None = Field(description="The scope's.")
    gates: int = Field(description="How many gates it has.")
    kind: AblationKind = Field(description="What replaced them.")
    measure: Measure = Field(
        description="What is compared: points of accuracy, probability of the true class, or nats."
    )
    joint: float = Field(description="Effect of replacing them together.")
    sum: float = Field(description="Sum of the effects of replacing each alone.")
    excess: float = Field(description="Joint minus sum.")
    low: float | None = Field(description="Lower end of the excess's bootstrap interval; null below 30 images.")
    high: float | None = Field(description="Upper end of the excess's bootstrap interval; null below 30 images.")
    reading: Reading = Field(
        description="'redundant': together they hurt more than the sum, so each alone was stood in for by the others; "
        "'overlapping': less than the sum, so they hurt the same images; 'undecided': the interval holds 0."
    )


class SweepReport(Report):
    """The answer of sweep: every effect with its conditions."""

    headline: str = Field(description="The main finding, in words.")
    network: str = Field(description="Canonical short name of the network.")
    variant: Variant = Field(description="The same as an object.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the numbers, and what was left out.")
    images: str = Field(description="The images the network was tried on, in words.")
    calibration: str | None = Field(description="The images whose gates were put in, in words; null if none were.")
    n: int = Field(description="Images tried so far.")
    labelled: bool = Field(description="Whether the images have classes that are the network's.")
    accuracy: float | None = Field(description="Top-1 accuracy of the untouched network, points; null without labels.")
    true_probability: float | None = Field(
        description="Mean probability of the true class in the untouched network, 0..1; null without labels."
    )
    sites: tuple[LabelledSite, ...] = Field(description="Every gate from input to output.")
    scopes: tuple[Scope, ...] = Field(description="The sets of gates, family by family.")
    kinds: tuple[AblationKind, ...] = Field(description="The kinds of replacement, in the order asked for.")
    effects: tuple[Effect, ...] = Field(description="Every scope (slow index) with every kind (fast index).")
    redundancy: tuple[Redundancy, ...] = Field(
        description="Stages and all, with every kind and measure; empty unless single gates were replaced too."
    )
    methods: str = Field(description="How intervals and tests were computed, with their sources.")
    device: str = Field(description="Where the network ran.")
    dtype: str = Field(default="float32", description="Number format of the forward pass.")
    complete: bool = Field(description="Whether all images were tried.")

    def tables(self) -> tuple[Table, ...]:
        """Every effect, every comparison of joint and single effects, every gate."""
        change = "accuracy_change"
        ends = {"low": f"{change}_low", "high": f"{change}_high"} if self.labelled else {}
        bars = Bars(label="label", value=change if self.labelled else "agreement", colour="kind", **ends)
        caption = f"{self.headline} Images: {self.images}. {self.methods}" if self.headline else ""
        effects = table_of("effects", self.effects, caption, bars, network=self.network)
        effects = effects.model_copy(update={"printed": self._printed()})
        return filled(effects, table_of("redundancy", self.redundancy), table_of("sites", self.sites))

    def _printed(self) -> Printed:
        rows = []
        for one in self.effects:
            kind = one.kind.replace("_", " ") + (", normalisations estimated anew" if one.reestimated else "")
            change = one.accuracy_change.text() if one.accuracy_change else "--"
            accuracy = (percent(one.accuracy), change, p_text(one.p_holm)) if self.labelled else ()
            rows.append((one.label, kind, *accuracy, f"{100 * one.agreement:.1f}", f"{one.kl:.4f}"))
        accuracies = ("top-1 (%)", "change (points)", "p, by Holm") if self.labelled else ()
        head = ("gates", "replaced by", *accuracies, "same class (%)", "KL (nats)")
        return Printed(head=head, rows=tuple(rows))


class SweepRequest(Interventions, Request[SweepReport]):
    """What does a network lose on these images without each of its gates, each stage of them, or all?"""

    examples: ClassVar = (
        {"variant": "eca", "images": {"data": "flowers", "limit": 500}, "kinds": ["mean", "scalar", "shuffle"]},
    )
    slow: ClassVar = True

    images: Pictures = Field(description="The images the network is tried on: of a data set, or photos by id.")
    scopes: tuple[Family, ...] = Field(
        default=("gate", "stage", "all", "first_to_last", "last_to_first"),
        min_length=1,
        max_length=6,
        description="Which sets of gates are replaced together.",
    )
    reestimate: bool = Field(
        default=False,
        description="For kinds 'constant' and 'neutral', also measure with the statistics of all batch normalisations "
        "estimated anew on the calibration images while the gates are replaced.",
    )


# ---------------------------------------------------------------- on a few photos, at once


class PhotoBase(Plain):
    """The most probable classes of one photo in the untouched network."""

    image: str = Field(description="Image id.")
    top: tuple[ClassScore, ...] = Field(description="The most probable classes: those that are followed.")


class PhotoEffect(Plain):
    """What replacing the gates of one scope by one kind does to one photo's prediction."""

    image: str = Field(description="Image id.")
    scope: str = Field(description="Id of the scope.")
    family: Family = Field(description="The scope's.")
    label: str = Field(description="The scope's.")
    stage: int | None = Field(description="The scope's.")
    order: int = Field(description="The scope's.")
    gates: int = Field(description="How many gates were replaced.")
    kind: AblationKind = Field(description="By what.")
    first: ClassScore = Field(description="The most probable class with the gates replaced.")
    flips: bool = Field(description="Whether that is another class than the untouched network's first.")
    probabilities: tuple[float, ...] = Field(
        description="Probability of each class of the untouched `top`, in that order, with the gates replaced, 0..1."
    )
    change: float = Field(description="Change of the probability of the untouched network's first class, -1..1.")
    kl: float = Field(description="KL(untouched || replaced) between the predictions, nats.")


class WhatIfReport(Report):
    """The answer of whatif: the untouched prediction of each photo, and what became of it."""

    main: ClassVar = "effects"

    network: str = Field(description="Canonical short name of the network.")
    variant: Variant = Field(description="The same as an object.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the numbers, and what was left out.")
    calibration: str | None = Field(description="The images whose gates were put in, in words; null if none were.")
    photos: tuple[PhotoBase, ...] = Field(description="The photos, in the order asked for.")
    sites: tuple[LabelledSite, ...] = Field(description="Every gate from input to output.")
    scopes: tuple[Scope, ...] = Field(description="The sets of gates, family by family, then the sets asked for.")
    kinds: tuple[AblationKind, ...] = Field(description="The kinds of replacement, in the order asked for.")
    effects: tuple[PhotoEffect, ...] = Field(
        description="Every photo (slowest index) with every scope and every kind (fastest index)."
    )
    device: str = Field(description="Where the network ran.")
    dtype: str = Field(default="float32", description="Number format of the forward pass.")


class WhatIfRequest(Interventions, Request[WhatIfReport]):
    """What becomes of the predictions for these photos without each gate, each stage of gates, or all of them?"""

    examples: ClassVar = ({"variant": "eca", "images": ["<id from POST /v1/images>"], "top_k": 3},)
    analysis: ClassVar = "whatif"

    images: tuple[PhotoId, ...] = Field(min_length=1, max_length=8, description="Ids of photos.")
    kinds: tuple[AblationKind, ...] = Field(
        default=("mean",), min_length=1, max_length=6, description="What replaces the gates."
    )
    scopes: tuple[Family, ...] = Field(
        default=("gate", "stage", "all"), max_length=6, description="Which sets of gates are replaced together."
    )
    top_k: int = Field(default=5, ge=1, le=20, description="How many classes to follow, most probable first.")
