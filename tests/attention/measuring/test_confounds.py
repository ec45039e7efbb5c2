"""What compared networks differ in beside attention, told in one place for Study, Compare and Disagree."""

from pathlib import Path
from typing import Any

import pytest

from attention.analyses import run
from attention.build import build
from attention.data.files import samples
from attention.measuring.confounds import confounds, differences_in_training
from attention.network import describe
from attention.reports.cam import CamRequest
from attention.reports.compare import CompareRequest
from attention.reports.disagreement import DisagreementRequest
from attention.reports.parts.checkpoints import Card
from attention.reports.parts.network import Network
from attention.reports.stripe import StripeRequest
from attention.spec import Pictures, Variant
from attention.storage.folder import FolderStore
from attention.training.checkpointing import write_checkpoint
from tests.attention.direct_lab import DirectLab

SHIPPED_NONE = "resnet20/none?weights=shipped"
SHIPPED_SE = "resnet20/se?weights=shipped"


def shipped(name: str) -> Card:
    card = describe(Variant.parse(f"resnet20/{name}?weights=shipped")).card
    assert card is not None
    return card


def network(name: str, card: Card | None) -> Network:
    return describe(Variant.parse(f"resnet20/{name}?weights=shipped")).model_copy(update={"name": name, "card": card})


def test_networks_trained_alike_need_no_warning() -> None:
    assert differences_in_training(tuple(network(name, shipped(name)) for name in ("none", "se", "eca"))) == ()
    assert differences_in_training(()) == () == differences_in_training((network("se", None),))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"data": "CIFAR-100"}, "differ in data (none: CIFAR-10 (JPEG q75); se: CIFAR-100)"),
        ({"train_images": 40_000}, "differ in training images (none: 50,000; se: 40,000)"),
        (
            {"variant": Variant.parse("resnet20(width=8)/se")},
            "backbone (none: resnet20; se: resnet20(width=8))",
        ),
        ({"variant": Variant.parse("resnet32/se")}, "resnet32"),
    ],
)
def test_what_differs_is_named_with_both_values(changes: dict[str, Any], word: str) -> None:
    se = network("se", shipped("se").model_copy(update=changes))
    (warning,) = differences_in_training((network("none", shipped("none")), se))
    assert word in warning and "need not come from attention" in warning


def test_epochs_rate_and_resolution_are_compared_too() -> None:
    card = shipped("se")
    recipe = card.recipe.model_copy(update={"epochs": 3, "lr": 0.017})
    how = card.preprocess.model_copy(update={"size": 64})
    se = network("se", card.model_copy(update={"recipe": recipe, "preprocess": how}))
    warnings = differences_in_training((network("none", shipped("none")), se))
    text = " ".join(warnings)
    assert len(warnings) == 2 and "se: epochs 3, lr 0.017" in text and "64 px" in text


def test_where_nothing_is_known_of_one_network_that_is_said() -> None:
    (warning,) = differences_in_training((network("none", shipped("none")), network("se", None)))
    assert warning.startswith("How se was trained is not known")
    (both,) = differences_in_training((network("none", None), network("se", None)))
    assert both.startswith("How none, se was trained is not known")
    other = describe(Variant.parse("resnet18/eca"))
    text = " ".join(differences_in_training((network("none", None), other)))
    assert "differ in backbone" in text and "differ in resolution" in text, "which no card needs to say"


def test_a_wider_plain_network_is_a_control_and_not_a_confound() -> None:
    base = Variant.parse("resnet20/none")
    assert confounds(base, Variant.parse("resnet20(width=17)/none")) == ()
    assert "width" in confounds(base, Variant.parse("resnet20(width=17)/eca"))[0]
    assert confounds(base, Variant.parse("resnet20/se@tail")) == ()


@pytest.mark.full
def test_all_that_look_at_networks_side_by_side_warn_of_another_width(tmp_path: Path) -> None:
    lab, photo = DirectLab(tmp_path), samples()[0].id
    half, recipe = Variant.parse("resnet20(width=8)/se"), shipped("se").recipe.model_copy(update={"epochs": 3})
    card = shipped("se").model_copy(update={"variant": half, "recipe": recipe})
    write_checkpoint(FolderStore(tmp_path), "checkpoints/half", build(half.model_copy(update={"classes": 10})), card)
    pair = (Variant.parse(SHIPPED_NONE), Variant.parse("resnet20(width=8)/se?weights=file:half"))
    images = tuple(sample.id for sample in samples()[:2])
    told = [
        run(CompareRequest(images=(photo,), variants=pair), lab).caveats,
        run(DisagreementRequest(images=Pictures(images=(photo,)), variants=pair, removal=None), lab).caveats,
        run(CamRequest(images=(photo,), variants=pair), lab).caveats,
        run(StripeRequest(pictures=Pictures(images=images), variants=pair), lab).caveats,
    ]
    for caveats in told:
        text = " ".join(caveats)
        assert "differ in backbone" in text and "resnet20(width=8)" in text and "differ in recipe" in text
    alike = CompareRequest(
        images=(photo,),
        variants=(Variant.parse(SHIPPED_NONE), Variant.parse(SHIPPED_SE)),
    )
    assert run(alike, lab).caveats == ()
