"""What can be asked for: names that round-trip, values that hash, sentences for what does not parse."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attention.errors import BadVariantName
from attention.names import split_names
from attention.spec import Ablation, Placement, Recipe, Variant

WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda word: word != "none")
TEXTS = st.from_regex(r"[A-Za-z0-9_.:/+-]{1,12}", fullmatch=True)
VALUES = st.one_of(st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
OPTIONS = st.dictionaries(WORDS, VALUES, max_size=3)
PLACEMENTS = st.builds(
    Placement,
    position=st.sampled_from(["pre", "inner", "standard", "identity", "post", "stage", "tail", "branch", "published"]),
    stages=st.none() | st.lists(st.integers(1, 99), min_size=1, max_size=5).map(tuple),
    blocks=st.none() | st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=3).map(tuple),
)
VARIANTS = st.builds(
    Variant,
    backbone=WORDS,
    backbone_options=OPTIONS,
    attention=WORDS,
    options=OPTIONS,
    placement=PLACEMENTS,
    classes=st.none() | st.integers(1, 1000),
    seed=st.integers(0, 2**31 - 1),
    weights=st.none() | TEXTS,
)


@pytest.mark.full
@given(VARIANTS)
def test_parsing_the_canonical_name_gives_the_variant_back(variant: Variant) -> None:
    assert Variant.parse(variant.name) == variant
    assert Variant.parse(variant.name).name == variant.name


@pytest.mark.full
@given(VARIANTS)
def test_json_gives_the_variant_back_with_the_same_hash(variant: Variant) -> None:
    again = Variant.model_validate_json(variant.model_dump_json())
    assert again == variant and hash(again) == hash(variant)


def test_a_name_says_backbone_module_options_place_and_the_rest() -> None:
    variant = Variant.parse("resnet50/se(reduction=8, bias=true)@standard:1+3-4?classes=10&seed=1&weights=shipped")
    assert variant == Variant(
        backbone="resnet50",
        attention="se",
        options={"reduction": 8, "bias": True},
        placement=Placement(stages=(1, 3, 4)),
        classes=10,
        seed=1,
        weights="shipped",
    )
    assert variant.name == "resnet50/se(bias=true,reduction=8)@standard:1+3-4?classes=10&seed=1&weights=shipped"


def test_a_modules_name_alone_means_the_network_that_comes_along() -> None:
    usual: dict[str, Any] = {"backbone": "resnet18", "backbone_options": {"width": 0.25}, "weights": "shipped"}
    assert Variant.parse("eca") == Variant(attention="eca", **usual)
    assert Variant.parse("none") == Variant(**usual)
    assert Variant.parse("danet") == Variant(attention="danet", placement=Placement(position="tail"), **usual)
    assert Variant.parse("danet@standard:4").placement == Placement(position="standard", stages=(4,))


def test_a_plain_network_has_one_form_only() -> None:
    assert (
        Variant.parse("resnet50/none@post")
        == Variant(backbone="resnet50")
        == Variant(backbone="resnet50", attention="none")
    )


def test_a_changed_copy_is_another_value() -> None:
    one = Variant.parse("resnet50/se")
    assert hash(one) == hash(Variant.parse("resnet50/se"))
    other = one.model_copy(update={"seed": 1})
    assert other != one and other == Variant(backbone="resnet50", attention="se", seed=1)


def test_a_name_may_choose_single_blocks() -> None:
    assert Placement.model_validate("standard:1+3.6+2.1") == Placement(stages=(1,), blocks=((2, 1), (3, 6)))
    assert [Placement(blocks=((3, 6),)).covers(3, block) for block in (5, 6)] == [False, True]


def test_stages_are_a_set() -> None:
    assert Placement(stages=(4, 3, 3)) == Placement(stages=(3, 4)) and str(Placement(stages=(4, 3))) == "standard:3-4"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a/b/c", "is not a variant's name"),
        ("", "is not a variant's name"),
        ("resnet50/se(reduction)", "not of the form option=value"),
        ("resnet50/se(r=1,r=2)", "given twice"),
        ("resnet50/se@standard:4-3", "backwards"),
        ("resnet50/se@standard:x", "not a choice of stages"),
        ("resnet50/se?colour=red", "may set classes, seed and weights"),
        ("resnet50/se@stem", "'resnet50/se@stem': placement.position: Input should be 'pre', .* or 'published'"),
        ("resnet50/se?classes=ten", "'resnet50/se.classes=ten': classes: Input should be a valid integer"),
    ],
)
def test_a_name_that_does_not_parse_gets_a_sentence(name: str, part: str) -> None:
    with pytest.raises(BadVariantName, match=part.replace("?", r"\?")):
        Variant.parse(name)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("timm:seresnet50", "timm(model=seresnet50)/none"),
        ("torchvision:resnet50?weights=file:mine", "torchvision(model=resnet50)/none?weights=file:mine"),
        ("timm:resnet50.a1_in1k/eca@after:layer4", "timm(model=resnet50.a1_in1k)/eca@after:layer4"),
    ],
)
def test_a_network_of_another_library_has_a_short_form(name: str, whole: str) -> None:
    assert Variant.parse(name) == Variant.parse(whole) and Variant.parse(name).name == whole


def test_commas_inside_options_do_not_split_a_list() -> None:
    assert split_names("none, se(reduction=8,bias=true) ,eca,") == ("none", "se(reduction=8,bias=true)", "eca")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Variant(backbone="resnet50", options={"reduction": 8}),
        lambda: Variant(attention="se", options={"x": float("nan")}),
        lambda: Variant(attention="se", options={"x": "a,b"}),
        lambda: Placement(stages=()),
        lambda: Ablation(kind="mean"),
        lambda: Ablation(kind="other_image"),
        lambda: Recipe(lr=0),
        lambda: Variant.model_validate({"attention": "se", "attentoin": "eca"}),
    ],
)
def test_what_makes_no_sense_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError):
        wrong()


@pytest.mark.full
def test_plain_data_never_loads_torch() -> None:
    code = "import sys, attention.reports, attention.analysis, attention.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
