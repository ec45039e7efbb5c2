"""The form of a new study in the page's address: a link or a reload shows the very recipe that was filled in."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from attention.client import Client
from dashboard import connect
from tests.dashboard.page_parts import linked

PAGE = Path(dashboard.__file__).parent / "views" / "study" / "page.py"


@pytest.fixture
def wizard(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    page = AppTest.from_file(PAGE, default_timeout=120)
    page.query_params.update({"new": "recipe", "preset": "standard"})
    return page


def test_fields_of_the_recipe_stand_in_the_address_and_a_fresh_session_has_them(wizard: AppTest) -> None:
    """After a reload the study would have been trained with the preset's epochs."""
    wizard.query_params["recipe"] = ["epochs=3"]
    wizard.run()
    assert wizard.number_input(key="recipe.standard.epochs").value == 3 and linked(wizard, "recipe") == ["epochs=3"]
    wizard.number_input(key="recipe.standard.lr").set_value(0.05).run()
    assert linked(wizard, "recipe") == ["epochs=3", "lr=0.05"]
    assert not wizard.exception and not wizard.warning[0].value.startswith("The widget")


@pytest.mark.parametrize("field", ["epochs=-1", "epochs=many", "colour=red", "epochs"])
def test_a_field_that_is_not_possible_leaves_the_preset_as_it_is(wizard: AppTest, field: str) -> None:
    wizard.query_params["recipe"] = [field]
    wizard.run()
    assert not wizard.exception and wizard.number_input(key="recipe.standard.epochs").value == 40
    assert linked(wizard, "recipe") == []
