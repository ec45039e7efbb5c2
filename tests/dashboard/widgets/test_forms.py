"""The signature is the form: a JSON Schema becomes widgets, and short names become variants."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.spec import Variant
from dashboard.widgets.forms import read_variants


def form() -> None:
    import streamlit as st

    from dashboard.widgets import forms

    schema = {
        "properties": {
            "reduction": {"type": "integer", "minimum": 1, "maximum": 64, "default": 16},
            "bias": {"type": "boolean", "default": False},
            "gamma": {"type": "number", "exclusiveMinimum": 0, "default": 2},
            "kernel_size": {
                "anyOf": [{"enum": ["adaptive", "released"], "type": "string"}, {"type": "integer", "minimum": 1}],
                "default": "adaptive",
            },
            "pool": {"$ref": "#/$defs/Pool", "default": "avg"},
            "tag": {"type": "string", "default": ""},
            "shape": {"type": "array", "default": "3x3"},
        },
        "$defs": {"Pool": {"enum": ["avg", "max"], "type": "string"}},
    }
    st.session_state["chosen"] = forms.options(schema, "form")


@pytest.mark.full
def test_an_untouched_form_says_nothing() -> None:
    at = AppTest.from_function(form, default_timeout=30).run()
    assert not at.exception
    assert at.session_state["chosen"] == {}


@pytest.mark.full
def test_every_kind_of_option_has_its_widget() -> None:
    at = AppTest.from_function(form, default_timeout=30).run()
    at.number_input(key="form.reduction").set_value(8)
    at.checkbox(key="form.bias").check()
    at.number_input(key="form.gamma").set_value(1.5)
    at.selectbox(key="form.pool").select("max")
    at.text_input(key="form.shape").set_value("5x5")
    at.selectbox(key="form.kernel_size").select("a number").run()
    at.number_input(key="form.kernel_size.number").set_value(5).run()
    assert not at.exception
    assert at.session_state["chosen"] == {
        "reduction": 8,
        "bias": True,
        "gamma": 1.5,
        "kernel_size": 5,
        "pool": "max",
        "shape": "5x5",
    }
    assert at.number_input(key="form.reduction").min == 1
    assert at.number_input(key="form.reduction").max == 64


def test_short_names_are_read_from_lines_and_commas() -> None:
    variants, problems = read_variants("resnet50/se(reduction=8,bias=true), resnet50/none\nresnet20/eca@standard:2-3")
    assert not problems
    assert [variant.name for variant in variants] == [
        "resnet50/se(bias=true,reduction=8)",
        "resnet50/none",
        "resnet20/eca@standard:2-3",
    ]
    assert variants[1] == Variant(backbone="resnet50")


def test_bad_names_get_a_sentence_each_and_good_ones_still_count() -> None:
    variants, problems = read_variants("resnet50//se, resnet50/se@nowhere, resnet50/eca")
    assert [variant.name for variant in variants] == ["resnet50/eca"]
    assert len(problems) == 2
    assert "is not a variant's name" in problems[0]
    assert problems[1].startswith("'resnet50/se@nowhere': placement.position")


def networks(catalog) -> None:  # type: ignore[no-untyped-def]
    import streamlit as st

    from dashboard.widgets import forms

    st.session_state["names"] = [variant.name for variant in forms.variants(catalog, (), "variant")]


@pytest.mark.full
def test_a_link_with_former_names_shows_the_network_and_says_what_it_is_called_now(client: Client) -> None:
    catalog = client.catalog()
    renamed = tuple(
        entry.model_copy(update={"names": replace(entry.names, former=("gates",), former_options={"r0": "reduction"})})
        if entry.name == "se"
        else entry
        for entry in catalog.modules
    )
    at = AppTest.from_function(networks, default_timeout=30, args=(catalog.model_copy(update={"modules": renamed}),))
    at.query_params["variant"] = ["resnet20/gates(r0=8)", "ResNet-20/CA"]
    at.run()
    assert not at.exception
    assert at.session_state["names"] == ["resnet20/se(reduction=8)", "resnet20/coord"]
    said = " ".join(warning.value for warning in at.warning)
    assert "'gates' is called 'se' now" in said and "'r0' of 'se' is called 'reduction' now" in said
    assert "CA" not in said  # an alias is as good as the name
