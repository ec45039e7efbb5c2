"""Choices in the page's address: by their option, in any language, and words that stand for nothing are said."""

import pytest
from streamlit.testing.v1 import AppTest


def script() -> None:
    import streamlit as st

    from dashboard.widgets import linked

    kinds = {"mean": "均值", "shuffle": "打乱"}
    st.text(linked.choice(st.segmented_control, "kind", kinds, "kind", "mean"))
    st.text(",".join(linked.choices(st.pills, "net", ["se", "eca", "cbam"], "net", ["se"])))
    st.text(str(linked.number(st.number_input, "size", 1, 100, "size", 32)))
    st.text(str(linked.switch(st.toggle, "cam", "cam")))
    st.text(str(linked.number(st.number_input, "budget", 0.0, 1e9, "budget", None)))


def page(**address: str | list[str]) -> AppTest:
    made = AppTest.from_function(script)
    for name, value in address.items():
        made.query_params[name] = value
    return made.run()


def shown(made: AppTest) -> list[str]:
    assert not made.exception
    return [text.value for text in made.text]


@pytest.mark.full
def test_without_an_address_there_are_defaults_and_it_stays_empty() -> None:
    made = page()
    assert shown(made) == ["mean", "se", "32", "False", "None"]
    assert not made.query_params


@pytest.mark.full
def test_a_choice_is_written_by_its_option_whatever_its_label() -> None:
    made = page()
    made.button_group(key="kind").set_value("shuffle")
    made.number_input(key="size").set_value(64)
    made.toggle(key="cam").set_value(True).run()
    assert shown(made) == ["shuffle", "se", "64", "True", "None"]
    assert dict(made.query_params) == {"kind": "shuffle", "size": "64", "cam": "1"}


@pytest.mark.full
def test_a_fresh_session_shows_what_the_address_says() -> None:
    made = page(kind="shuffle", net=["eca", "cbam"], size="48", cam="1", budget="1.25")
    assert shown(made) == ["shuffle", "eca,cbam", "48", "True", "1.25"]


@pytest.mark.full
def test_a_link_within_the_session_wins_over_what_was_chosen_before() -> None:
    made = page(kind="shuffle")
    made.query_params["net"] = ["cbam"]
    assert shown(made.run())[:2] == ["shuffle", "cbam"]
    made.button_group(key="net").set_value(["cbam", "eca"]).run()
    assert shown(made)[1] == "cbam,eca", "the widget wins over the address that this session wrote"


@pytest.mark.full
def test_a_word_that_stands_for_nothing_is_said_once_and_the_rest_is_kept() -> None:
    made = page(net=["cbma", "eca"], kind="nothing", size="many")
    assert shown(made) == ["mean", "eca", "32", "False", "None"]
    assert [warning.value for warning in made.warning] == [
        "`nothing` is not here.",
        "`cbma` is not here. Did you mean cbam?",
    ]
    assert not made.run().warning


@pytest.mark.full
def test_a_number_beyond_its_limits_is_the_limit() -> None:
    assert shown(page(size="5000"))[2] == "100"


@pytest.mark.full
def test_an_emptied_field_stays_empty() -> None:
    made = page(budget="2")
    made.number_input(key="budget").set_value(None).run()
    assert shown(made)[4] == "None"
    assert "budget" not in made.query_params
