"""On which images do these networks disagree, or change their answer when their attention is taken away?"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention.analyses import analyses
from attention.analyses.compare import class_score
from attention.analysis import AnyLab
from attention.data.images import thumbnail
from attention.data.preprocessing import preprocess
from attention.data.sampling import BATCH, Picture, how_many, label_numbers, pictures, why_unlabelled
from attention.errors import InvalidRequest
from attention.interventions.plan import SCALE, described, reference_images
from attention.measuring.agreement import Numbers, divergence, kappa, rights
from attention.measuring.channel_gates import ran
from attention.measuring.confounds import differences_in_training
from attention.network import need_classes
from attention.reports.disagreement import (
    Agreement,
    Answer,
    AskedNetwork,
    DisagreementReport,
    DisagreementRequest,
    Entry,
    Flips,
)
from attention.reports.parts.network import Network
from attention.spec import REFERRING, Ablation, AblationKind, Pictures, Preprocess

METHODS = (
    "Divergences are Jensen-Shannon divergences with equal weights between softmax predictions (Lin 1991), by their "
    "maximum: 0 where all say the same, 1 where each is sure of another class. The list has images whose first classes "
    "differ, by divergence. Kappa is Cohen's (1960). p is McNemar's exact test over images, not corrected for how many "
    "pairs are compared, and says nothing of other training seeds."
)


@dataclass(order=True)
class Candidate:
    """An image that networks disagree about; candidates compare by how much, and the smallest leaves the list first."""

    score: float
    earliness: int
    entry: Entry = field(compare=False)


@analyses.register("disagreement")
def disagreement(request: DisagreementRequest, lab: AnyLab) -> DisagreementReport:
    """On which images do these networks disagree, or change their answer when their attention is taken away?"""
    setup = Setup(request, lab)
    disagreements = Disagreements(setup)
    some: list[Picture] = []
    for picture in pictures(request.images, lab.files):
        some.append(picture)
        if len(some) == BATCH:
            disagreements.add(some, setup.shares(some))
            some = []
            if disagreements.n < setup.total:
                note = f"{disagreements.n:,} of {setup.total:,} images"
                lab.progress(disagreements.n, setup.total, note, report(setup, disagreements, complete=False))
    if some:
        disagreements.add(some, setup.shares(some))
    answer = report(setup, disagreements, complete=True)
    lab.progress(disagreements.n, setup.total, f"{disagreements.n:,} images", answer)
    return answer


class Setup:
    """What a question about disagreement is answered with: the networks, the arms, and how they are run."""

    def __init__(self, request: DisagreementRequest, lab: AnyLab) -> None:
        self.request, self.lab = request, lab
        self.networks = [lab.describe(variant) for variant in request.variants]
        for network in self.networks:
            need_classes(network)
        self.caveats = [f"{network.name}: {network.warning}" for network in self.networks if network.warning]
        self.caveats += differences_in_training(tuple(network for network in self.networks if network.trained))
        self.names, about_classes = same_classes(self.networks)
        self.caveats += about_classes
        self.reference: Pictures | None = None
        if request.removal in REFERRING:
            self.reference, about = reference_images(request.calibration, request.images, lab.files)
            self.caveats += about
        if request.removal in SCALE:
            self.caveats.append(SCALE[request.removal])
        self.arms: list[tuple[Network, AblationKind | None]] = []
        for network in self.networks:
            self.arms.append((network, None))
            if request.removal is not None and network.gates:
                self.arms.append((network, request.removal))
        self.ids = [network.name + (" without attention" if removed else "") for network, removed in self.arms]
        self.whole = [row for row, (_, removed) in enumerate(self.arms) if removed is None]
        self.without = [row for row, (_, removed) in enumerate(self.arms) if removed is not None]
        """Each follows the arm of the same network as it is."""
        if len(self.arms) == 1:
            raise InvalidRequest(
                f"{self.networks[0].name} has no gates to replace, so it has nothing to disagree with: name another."
            )
        if request.rank_by == "removal" and not self.without:
            raise InvalidRequest("rank_by 'removal' needs a network with gates.")
        self.total = how_many(request.images, lab.files)

    def shares(self, some: Sequence[Picture]) -> Numbers:
        """Softmax predictions of every arm: (A, B, K).

        Raises:
            InvalidRequest: a gate has no neutral weight.
        """
        inputs: dict[Preprocess, Tensor] = {}  # what the networks see, once for each way of preparing it
        logits: list[Tensor] = []
        for network in self.networks:
            how = network.preprocess
            if how not in inputs:
                inputs[how] = torch.stack([preprocess(picture.image, how) for picture in some])  # (B, 3, S, S)
            with torch.inference_mode():
                logits += self.lab.forward_each(network.variant, inputs[how], self._ablations(network)).unbind()
        predictions: Numbers = torch.stack([rows.double().cpu() for rows in logits]).softmax(-1).numpy()
        return predictions

    def _ablations(self, network: Network) -> list[Ablation]:
        kind = self.request.removal
        if kind is None or not network.gates:
            return []
        return [Ablation(kind=kind, value=self.request.value, seed=self.request.seed, reference=self.reference)]


def same_classes(networks: Sequence[Network]) -> tuple[tuple[str, ...], list[str]]:
    """The names of the classes that all networks tell apart, and what to know of them; no names if none are known.

    Raises:
        InvalidRequest: they tell different classes apart.
    """
    first = networks[0]
    class_names: tuple[str, ...] = ()
    named_by, nameless = first, []
    for network in networks:
        if network.variant.classes != first.variant.classes:
            raise InvalidRequest(
                f"{first.name} tells {first.variant.classes} classes apart, and {network.name} "
                f"{network.variant.classes}. Only networks of the same classes can agree or disagree."
            )
        names = network.labels
        if not names:
            nameless.append(network.name)
        elif class_names and names != class_names:
            raise InvalidRequest(
                f"{named_by.name} and {network.name} call their classes differently, or order them differently: "
                f"{_first_difference(class_names, names)}. Only networks of the same classes can agree or disagree."
            )
        else:
            class_names, named_by = names, network
    if class_names and nameless:
        return class_names, [
            f"{', '.join(nameless)} does not say what its classes are called; the others' names are taken."
        ]
    return class_names, []


def _first_difference(first_names: Sequence[str], second_names: Sequence[str]) -> str:
    number = next(
        place for place, (first, other) in enumerate(zip(first_names, second_names, strict=True)) if first != other
    )
    return f"class {number} is {first_names[number]!r} and {second_names[number]!r}"


class Disagreements:
    """Disagreement over the images so far: first classes and divergences of every arm, and the list of images."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.labels: list[str | None] = []
        self.pairs = list(combinations(range(len(setup.arms)), 2))
        self.apart = np.zeros(len(self.pairs))
        """Sum over images of each pair's divergence."""
        self.differing = 0
        self.listed: list[Candidate] = []
        self._first: list[NDArray[np.int64]] = []

    @property
    def n(self) -> int:
        """Number of images that were added."""
        return len(self.labels)

    @property
    def first(self) -> NDArray[np.int64]:
        """First class by arm and image: (A, N)."""
        return np.concatenate(self._first, 1)

    def add(self, some: Sequence[Picture], shares: Numbers) -> None:
        """Every arm's predictions (A, B, K) for some images."""
        setup, first = self.setup, shares.argmax(-1)  # (A, B)
        self._first.append(first)
        self.apart += [divergence(shares[[first, other]]).sum() for first, other in self.pairs]
        networks = divergence(shares[setup.whole]) if len(setup.whole) > 1 else None
        removal = np.stack([divergence(shares[[row - 1, row]]) for row in setup.without]) if setup.without else None
        for place, picture in enumerate(some):
            flips = [setup.arms[row][0].name for row in setup.without if first[row, place] != first[row - 1, place]]
            classes = len(set(first[setup.whole, place].tolist()))
            counted = {"networks": classes > 1, "removal": bool(flips), "any": classes > 1 or bool(flips)}
            between = None if networks is None else float(networks[place])
            taken = None if removal is None else float(removal[:, place].max())
            scores = {"networks": between, "removal": taken, "any": max(between or 0.0, taken or 0.0)}
            if counted[setup.request.rank_by]:
                self.differing += 1
                score = scores[setup.request.rank_by] or 0.0
                self._consider(picture, self.n + place, score, between, taken, classes, flips, shares[:, place])
        self.labels += [picture.label for picture in some]

    def _consider(
        self,
        picture: Picture,
        number: int,
        score: float,
        networks: float | None,
        removal: float | None,
        classes: int,
        flips: Sequence[str],
        shares: Numbers,
    ) -> None:
        """Put an image on the list, if it belongs there; of equal images the earlier one does."""
        full = len(self.listed) == self.setup.request.limit
        if full and (score, -number) <= (self.listed[0].score, self.listed[0].earliness):
            return
        entry = Entry(
            rank=0,
            image=picture.name,
            label=picture.label,
            score=score,
            networks=networks,
            removal=removal,
            first_classes=classes,
            flips=tuple(flips),
            answers=tuple(self._answers(shares, picture.label)),
            thumbnail=thumbnail(picture.image, self.setup.request.thumbnail),
        )
        put = heapq.heapreplace if full else heapq.heappush
        put(self.listed, Candidate(score, -number, entry))

    def _answers(self, shares: Numbers, label: str | None) -> Iterator[Answer]:
        """What every arm says of one image, (A, K)."""
        names = self.setup.names
        true = names.index(label) if label is not None and label in names else None
        for arm, probabilities in zip(self.setup.ids, shares, strict=True):
            index = int(probabilities.argmax())
            yield Answer(
                arm=arm,
                first=class_score(index, names, float(probabilities[index])),
                true_probability=None if true is None else float(probabilities[true]),
                right=None if true is None else index == true,
            )


def report(setup: Setup, disagreements: Disagreements, complete: bool) -> DisagreementReport:
    """The report on the images so far."""
    request, files, first = setup.request, setup.lab.files, disagreements.first
    numbers = label_numbers(disagreements.labels, setup.names)
    right = None if numbers is None else first == np.array(numbers)  # (A, N)
    notes = list(setup.caveats)
    if right is None:
        notes.append(
            f"{why_unlabelled(disagreements.labels, setup.names, request.images)}, so nobody is called right or wrong."
        )
    if disagreements.differing > len(disagreements.listed):
        notes.append(
            f"The list has {len(disagreements.listed):,} of {disagreements.differing:,} images on which first classes "
            "differ."
        )
    flips = tuple(_flips(setup, first, right))
    ranked = sorted(disagreements.listed, reverse=True)
    return DisagreementReport(
        headline=headline(setup, disagreements, flips),
        networks=tuple(ran(network, setup.lab) for network in setup.networks),
        arms=tuple(
            AskedNetwork(
                id=setup.ids[row],
                network=network.name,
                removed=removed,
                n=disagreements.n,
                accuracy=None if right is None else 100 * float(right[row].mean()),
            )
            for row, (network, removed) in enumerate(setup.arms)
        ),
        pairs=tuple(_pairs(setup, disagreements, first, right)),
        flips=flips,
        entries=tuple(image.entry.model_copy(update={"rank": rank}) for rank, image in enumerate(ranked, start=1)),
        differing=disagreements.differing,
        rank_by=request.rank_by,
        removal=request.removal if setup.without else None,
        images=described(request.images, files),
        calibration=described(setup.reference, files) if setup.reference else None,
        n=disagreements.n,
        labelled=right is not None,
        caveats=tuple(notes),
        methods=METHODS,
        complete=complete,
    )


def _pairs(
    setup: Setup, disagreements: Disagreements, first: NDArray[np.int64], right: NDArray[np.bool_] | None
) -> Iterator[Agreement]:
    """Every two arms."""
    for apart, (arm, other) in zip(disagreements.apart.tolist(), disagreements.pairs, strict=True):
        same = int((first[arm] == first[other]).sum())
        who = ("both_right", "only_first", "only_second", "both_wrong", "p")
        yield Agreement.model_validate(
            {
                "first": setup.ids[arm],
                "second": setup.ids[other],
                "n": disagreements.n,
                "same": same,
                "agreement": same / disagreements.n,
                "kappa": kappa(first[arm], first[other]),
                "divergence": apart / disagreements.n,
                **(dict.fromkeys(who) if right is None else rights(right[arm], right[other])),
            }
        )


def _flips(setup: Setup, first: NDArray[np.int64], right: NDArray[np.bool_] | None) -> Iterator[Flips]:
    """What taking its attention away does to each network."""
    for row in setup.without:
        flipped = first[row] != first[row - 1]
        yield Flips(
            network=setup.arms[row][0].name,
            n=flipped.size,
            flipped=int(flipped.sum()),
            share=float(flipped.mean()),
            to_right=None if right is None else int((~right[row - 1] & right[row]).sum()),
            to_wrong=None if right is None else int((right[row - 1] & ~right[row]).sum()),
        )


def headline(setup: Setup, disagreements: Disagreements, flips: Sequence[Flips]) -> str:
    """How often networks differ, and how often removal makes a difference."""
    parts = []
    if len(setup.whole) > 1:
        whole = disagreements.first[setup.whole]
        apart = float((whole != whole[0]).any(0).mean())
        parts.append(
            f"The {len(whole)} networks do not all give the same first class on {apart:.1%} of "
            f"{disagreements.n:,} images"
        )
    if flips:
        each = ", ".join(f"{flip.share:.1%} of {flip.n:,} for {flip.network}" for flip in flips)
        parts.append(f"Replacing all gates ('{setup.request.removal}') changes the first class of {each}")
    return ". ".join(parts) + "."
