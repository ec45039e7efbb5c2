"""The study's question and answer, as plain data, with its tables as CSV and LaTeX; and what a data set holds."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from attention.reports.parts.evidence import KIND_WORDS, Interval, Verdict
from attention.reports.parts.grid import Grid
from attention.reports.parts.inventory import Inventory
from attention.reports.parts.predictions import PackedClasses
from attention.reports.parts.recipes import RECIPES, by_name, of_name
from attention.reports.parts.study_choice import Choice
from attention.reports.parts.study_classes import ArmClasses, classes_table, confusion_table, recall_table
from attention.reports.parts.study_plan import Score, StudyPlan
from attention.reports.writing.captions import counted, definition, p_text
from attention.reports.writing.tables import Bars, Cell, Printed, Report, Table, named
from attention.spec import Pass, Plain, Recipe, Request, Variant

ValidationOrigin = Literal["own", "cut", "off"]


class DataFacts(Plain):
    """What a data set holds, and what in it could spoil a comparison."""

    name: str = Field(description="The data set as it should be called.")
    classes: tuple[str, ...] = Field(description="Class names in the order of the labels.")
    train_images: int = Field(description="Images to train on.")
    validation_images: int = Field(default=0, description="Images that curves and choices are of, apart from both.")
    test_images: int = Field(description="Images to test on.")
    train_per_class: tuple[int, ...] = Field(default=(), description="Training images of each class.")
    test_per_class: tuple[int, ...] = Field(default=(), description="Test images of each class.")
    test_labels: PackedClasses | None = Field(default=None, description="Class of each test image, in their order.")
    size: int = Field(description="Height and width the images were brought to, pixels.")
    split_by_hash: bool = Field(description="Whether the split was made here, by the hash of each file.")
    validation: ValidationOrigin = Field(
        default="off",
        description="Where the validation images are from: a split of the data's own, cut from the training images by "
        "the hash of each file, alike of each class; or there are none, and curves are of the test images.",
    )
    unused_images: int = Field(default=0, description="Images of an own validation split that is switched off.")
    duplicates: int = Field(description="Images that repeat the pixels of another one.")
    duplicates_across_splits: int = Field(description="Images that stand in both splits: the test has seen them.")
    label_conflicts: int = Field(description="Images that stand there with more than one label.")
    fingerprint: str = Field(description="SHA-256 of all images, labels, the split and the size.")
    inventory: Inventory | None = Field(
        default=None, description="What was understood of its files; None for a study of before that was kept."
    )

    @property
    def majority(self) -> float | None:
        """Share of the most frequent class among the test images; None in old reports."""
        return max(self.test_per_class) / sum(self.test_per_class) if self.test_per_class else None

    def image_points(self, score: Score) -> float | None:
        """Points that one test image is worth; None for balanced accuracy where classes are not counted."""
        if score == "accuracy":
            return 100 / self.test_images
        return 100 / (len(self.classes) * min(self.test_per_class)) if self.test_per_class else None

    @property
    def sentence(self) -> str:
        """How many images there are for what, and who says so."""
        held = {
            "own": f"{self.validation_images:,} of the data's own for validation",
            "cut": f"{self.validation_images:,} cut from them by the hash of each file for validation",
            "off": "none for validation, so curves are of the test images",
        }[self.validation]
        unused = f" {self.unused_images:,} validation images are not used." if self.unused_images else ""
        return f"{self.name}: {self.train_images:,} to train on, {held}, {self.test_images:,} to test on.{unused}"


class CurvePoint(Plain):
    """A run after one epoch."""

    epoch: int = Field(description="Epochs done.")
    loss: float = Field(description="Mean training loss of the epoch.")
    validation_accuracy: float | None = Field(
        default=None, description="Share of validation images whose first class is right, 0..1; None without any."
    )
    test_accuracy: float | None = Field(
        default=None, description="The same of test images, only where there are no validation images."
    )
    seconds: float = Field(description="Wall-clock seconds of the epoch.")

    @property
    def accuracy(self) -> float | None:
        """Accuracy of the validation images, or of the test images where there are none."""
        return self.test_accuracy if self.validation_accuracy is None else self.validation_accuracy


class RunReport(Plain):
    """A training run of a study: one arm with one seed."""

    arm: str = Field(description="Short name of the arm.")
    seed: int = Field(description="Seed of initial weights, data order and augmentation.")
    done: bool = Field(description="Whether the run is finished.")
    test_accuracy: float | None = Field(description="After the last epoch, 0..1; None until it is done.")
    validation_accuracy: float | None = Field(
        default=None, description="After the last epoch, 0..1; None until it is done, or without validation images."
    )
    predicted: PackedClasses | None = Field(
        default=None, description="First class of each test image after the last epoch, in the order of the labels."
    )
    right: tuple[int, ...] = Field(default=(), description="Test images of each class that are told rightly.")
    confusion: tuple[tuple[int, ...], ...] | None = Field(
        default=None,
        description="Test images by true class (row) and first class (column); None where there are more than 100 "
        "classes: count it from the predictions.",
    )
    balanced_accuracy: float | None = Field(default=None, description="Mean over classes of the share told rightly.")
    macro_f1: float | None = Field(
        default=None, description="Mean over classes of F1 = 2 right / (true + told); 0 where a class is never told."
    )
    curve: tuple[CurvePoint, ...] = Field(description="The epochs so far.")
    seconds: float = Field(description="Wall-clock seconds of training so far.")
    weights: str | None = Field(description="What a variant says to get this run's weights, once it is done.")
    failed: str | None = Field(default=None, description="Why there is no result, if it ended without one.")
    diverged: bool = Field(
        default=False,
        description="Whether it ended because loss or score were not finite; a run without a result that has not "
        "diverged ended for a technical reason and is done again.",
    )


class Arm(Plain):
    """One network of the study over its seeds."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    accuracy: Interval | None = Field(description="Mean test accuracy in points with Student's interval over seeds.")
    spread: float | None = Field(description="Standard deviation over seeds, points.")
    n: int = Field(description="Finished runs.")
    parameters: int = Field(description="Trainable parameters.")
    macs: int = Field(description="Multiply-accumulates, one image.")
    extra_parameters: int = Field(description="Parameters beyond the baseline's.")
    extra_macs: int = Field(description="Multiply-accumulates beyond the baseline's.")
    differences: tuple[float, ...] = Field(description="Score minus the baseline's, points, one a shared seed.")
    verdict: Verdict | None = Field(description="Whether it is better than the baseline; None for the baseline.")


class StudyReport(Report):
    """The answer of study: the verdicts first, then every number they come from."""

    headline: str = Field(description="What may be said, in words.")
    caveats: tuple[str, ...] = Field(description="What the arms differ in beside their attention, and other warnings.")
    baseline: str = Field(description="Short name of the arm the others are compared with.")
    arms: tuple[Arm, ...] = Field(description="The arms in the order asked for.")
    runs: tuple[RunReport, ...] = Field(description="Every run.")
    data: DataFacts = Field(description="The data set and what was found in it.")
    recipe: Recipe = Field(description="How all were trained.")
    margin: float | None = Field(description="Differences up to this many points are called none.")
    plan: StudyPlan | None = Field(
        default=None, description="What was declared before the first run; None: no plan was recorded."
    )
    test_set: tuple[str, ...] = Field(
        default=(), description="What the test set can show: chance, images of each class, what one image is worth."
    )
    choice: Choice | None = Field(default=None, description="What was chosen, where the study is there to choose.")
    classes: tuple[ArmClasses, ...] = Field(
        default=(), description="Every arm class by class: a description, not corrected, from which no verdict follows."
    )
    device: str = Field(description="Where the networks were trained.")
    torch: str = Field(description="Version of torch.")
    complete: bool = Field(description="Whether every run has ended.")

    @model_validator(mode="after")
    def _has_its_baseline(self) -> Self:
        if self.baseline not in {arm.name for arm in self.arms}:
            raise ValueError(f"the baseline {self.baseline!r} is none of the arms")
        return self

    def ended(self, state: Literal["cancelled", "failed"]) -> Self:
        """Return the report of a study whose job was cancelled or failed before every run had ended."""
        if self.complete:
            return self
        reason = f"The study {'was cancelled' if state == 'cancelled' else 'failed'} before all of its runs had ended"
        claims = [arm.verdict.sentence for arm in self.arms if arm.verdict and arm.verdict.kind in ("better", "worse")]
        ended = sum(run.done for run in self.runs)
        count = f"{ended} {'is' if ended == 1 else 'are'}" if ended else "none is"
        headline = " ".join([*claims, f"{reason}; {count} kept, and the same request goes on with the rest."])
        return self.model_copy(update={"headline": headline})

    def tables(self) -> tuple[Table, ...]:
        """The arms with their verdicts, every run, every class of every run, recalls and confusions."""
        runs = ((run.arm, run.seed, run.right) for run in self.runs)
        classes = classes_table(runs, self.data.classes, self.data.test_per_class)
        told = ((run.arm, run.seed, run.confusion) for run in self.runs)
        confusion = confusion_table(told, self.classes, self.data.classes)
        return self._arms(), self._runs(), classes, recall_table(self.classes, self.data.name), confusion

    def csv(self, name: str = "") -> str:
        """Write a table with all digits as CSV; without a name every run as a row."""
        return super().csv(name or "runs")

    def _runs(self) -> Table:
        shares = ("test_accuracy", "validation_accuracy", "balanced_accuracy", "macro_f1")
        rows = []
        for run in self.runs:
            scores = [getattr(run, share) for share in shares]
            rows.append((run.arm, run.seed, *scores, len(run.curve), round(run.seconds, 2), run.weights, run.failed))
        columns = named("arm", "seed", *shares, "epochs", "seconds", "weights", "failed")
        return Table(name="runs", caption="Every run.", columns=columns, rows=tuple(rows))

    def mean_accuracy(self, arm: Arm) -> float | None:
        """Mean test accuracy of an arm in points, of a single run too, which has no interval; None without a result."""
        if arm.accuracy is not None:
            return arm.accuracy.estimate
        points = [100 * run.test_accuracy for run in self.runs if run.arm == arm.name and run.test_accuracy is not None]
        return sum(points) / len(points) if points else None

    def _arms(self) -> Table:
        """The arms, with a caption that carries the conditions."""
        rows: list[tuple[Cell, ...]] = []
        printed = []
        for arm in self.arms:
            mean = self.mean_accuracy(arm)
            shown = f"{mean:.2f}" if mean is not None else "--"
            shown += f" ± {arm.spread:.2f}" if arm.spread is not None else ""
            verdict, difference = "baseline", arm.verdict.difference if arm.verdict else None
            gain, p, ends = (
                "--",
                "--",
                (difference.estimate, difference.low, difference.high) if difference else (None, None, None),
            )
            if arm.verdict:
                verdict, p = KIND_WORDS[arm.verdict.kind], p_text(arm.verdict.p_adjusted)
                gain = difference.text(margin=arm.verdict.margin) if difference else "--"
            adjusted = arm.verdict.p_adjusted if arm.verdict else None
            rows.append((arm.name, arm.parameters, arm.macs, arm.n, mean, arm.spread, *ends, adjusted, verdict))
            printed.append((arm.name, f"{arm.parameters:,}", f"{arm.macs / 1e6:.2f}", shown, gain, p, verdict))
        scores = ("accuracy", "sd", "difference", "low", "high", "p_adjusted", "verdict")
        head = ("network", "parameters", "MMACs", "accuracy (%)", "difference", "p", "verdict")
        return Table(
            name="arms",
            caption=self._caption(),
            columns=named("arm", "parameters", "macs", "n", *scores),
            rows=tuple(rows),
            printed=Printed(head=head, rows=tuple(printed)),
            bars=Bars(label="arm", value="difference", low="low", high="high"),
        )

    def _caption(self) -> str:
        runs, epochs = {arm.n for arm in self.arms}, self.recipe.epochs
        return (
            f"Test accuracy on {self.data.name} ({self.data.train_images:,} training and {self.data.test_images:,} "
            f"test images, {self.data.size} px), mean and standard deviation over {counted([a.n for a in self.arms])} "
            f"seed{'s' * (runs != {1})}. {self._definition()} MACs: multiply-accumulates of one image. {epochs} "
            f"epoch{'s' * (epochs != 1)}, batch "
            f"{self.recipe.batch_size}, peak rate {self.recipe.lr:g}. {self.device}, torch {self.torch}."
        )

    def _definition(self) -> str:
        """What the verdicts rest on, for the caption."""
        if self.choice is not None:
            return f"No verdicts: {self.choice.sentence}"
        plan = self.plan
        when = ", set before the first run" if plan and not plan.runs_before else ""
        if plan is None:
            when = ", no plan recorded before the first run"
        elif plan.runs_before:
            when = f", {late_plan(plan)}"
        score = "of balanced accuracy " if plan and plan.score == "balanced accuracy" else ""
        return definition([arm.verdict for arm in self.arms if arm.verdict is not None], "points", when, score)


def late_plan(plan: StudyPlan) -> str:
    """Say that a plan was made when runs of it had ended already, as the beginning of a sentence."""
    return (
        f"{plan.runs_before} of {plan.runs_asked} runs had ended before this plan was made; the 5 % hold only if "
        "nobody had looked at them"
    )


class StudyRequest(Request[StudyReport]):
    """Train these networks on the same data with the same seeds: is any of them really better?"""

    examples: ClassVar = (
        {
            "data": "flowers",
            "variants": ["resnet20/none", "resnet20/se", "resnet20/eca"],
            "recipe": "quick",
            "seeds": 8,
        },
    )
    slow: ClassVar = True
    spreads: ClassVar = True

    data: str = Field(
        min_length=1, max_length=200, pattern=r"^[\w][\w.-]*$", description="Name of a data set in the data folder."
    )
    size: int = Field(default=32, ge=4, le=512, description="Height and width the images are brought to, pixels.")
    variants: tuple[Variant, ...] = Field(
        default=(), max_length=64, description="The arms, untrained; the first of all arms is the baseline."
    )
    grids: tuple[Grid, ...] = Field(default=(), max_length=8, description="More arms, as sweeps over fields.")
    validation: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Share of the training images that is held out for curves and choices, unless the data has a "
        "validation split; 0 for none.",
    )
    seeds: int = Field(default=8, ge=1, le=400, description="Runs of each arm, paired by seed.")
    first_look: int | None = Field(
        default=None,
        ge=6,
        le=100,
        description="Seeds at which the first verdict is given; None: that of the plan these runs began with, else as "
        "many as `seeds`, at least 6.",
    )
    looks: Literal[1, 2, 3] = Field(
        default=3,
        description="3: seeds may be added after a verdict, and verdicts are given at first_look, twice and four times "
        "as many seeds; 1: there is one verdict, and its interval is narrower.",
    )
    score: Score = Field(
        default="accuracy",
        description="What arms are compared by; balanced accuracy is the mean over classes of the share that is right.",
    )
    choose: bool = Field(
        default=False,
        description="Choose among all arms by validation accuracy, as for a sweep of r, k or the place: no verdicts.",
    )
    first_seed: int = Field(default=0, ge=0, le=10_000, description="The first seed; the others follow it.")
    recipe: Recipe = Field(default=RECIPES["quick"], description="How all are trained: a recipe, or the name of one.")
    recipes: tuple[Recipe, ...] = Field(
        default=(),
        max_length=8,
        description="Recipes, or names of some, to choose among as well, instead of `recipe`; only with `choose`.",
    )
    margin: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=0.5,
        description="Differences up to this many points are called none; null: no difference is never said.",
    )

    @property
    def largest_pass(self) -> Pass:
        """A training step keeps everything until it has gone back through it."""
        most = max(recipe.batch_size for recipe in self.recipes or (self.recipe,))
        return Pass(self.size, most, trains=True)

    @field_validator("recipe", "recipes", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return of_name(value)

    @model_validator(mode="after")
    def _fits_its_looks(self) -> Self:
        if self.first_look is not None and self.seeds > (most := self.first_look * 2 ** (self.looks - 1)):
            raise ValueError(
                f"A plan of {self.looks} {'look' if self.looks == 1 else 'looks'} that begins at {self.first_look} "
                f"seeds ends at {most}; {self.seeds} seeds are another plan. Ask for {most} seeds, or for a larger "
                "first_look."
            )
        return self

    @model_validator(mode="after")
    def _has_arms(self) -> Self:
        arms = self.arms()
        if self.choose and not self.validation:
            raise ValueError("Choosing needs validation images, so that the test images stay apart: raise validation.")
        if self.recipes and (not self.choose or len(set(self.recipes)) < 2):
            raise ValueError("Recipes are compared by validation accuracy alone: name two or more, and set choose.")
        if len(arms) < 2:
            raise ValueError("A study compares at least two different networks.")
        if len(arms) > 64:
            raise ValueError(f"{len(arms)} arms are more than the 64 a study takes.")
        trained = next((arm for arm in arms if arm.weights is not None), None)
        if trained is not None:
            raise ValueError(f"A study trains from scratch, but {trained.name} names weights. Leave weights out.")
        return self

    def arms(self) -> tuple[Variant, ...]:
        """All arms, each once, without seeds of their own: the study gives each its seeds."""
        variants = (*self.variants, *(variant for grid in self.grids for variant in grid.variants()))
        return tuple(dict.fromkeys(variant.model_copy(update={"seed": 0}) for variant in variants))

    def by_recipe(self) -> "dict[str, StudyRequest]":
        """The study of each of several recipes, by the recipe's name or number."""
        return {
            name: self.model_copy(update={"recipe": recipe, "recipes": ()})
            for name, recipe in by_name(self.recipes).items()
        }
