"""A shelf fills itself from its folder and answers with sentences."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from attention.errors import BadOption, UnknownName
from attention.registry import Registry
from attention.registry.options import check, schema


def test_a_file_in_the_folder_is_all_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shelf_of_this_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from attention.registry import Registry\nshelf = Registry('fruit', __name__)\n"
    )
    (package / "apple.py").write_text("from shelf_of_this_test import shelf\nshelf.register('apple')('an apple')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from shelf_of_this_test import shelf  # type: ignore[import-not-found]

    assert list(shelf) == ["apple"] and shelf["apple"] == "an apple" and "pear" not in shelf and len(shelf) == 1
    with pytest.raises(UnknownName, match=r"There is no fruit named 'appel'\. Did you mean 'apple'\?"):
        shelf["appel"]
    with pytest.raises(UnknownName, match="There is: apple"):
        shelf["zzzzz"]
    sys.modules.pop("shelf_of_this_test")


def test_two_things_of_one_name_are_a_bug() -> None:
    shelf: Registry[int] = Registry("number", "attention.analyses")
    shelf.register("one")(1)
    with pytest.raises(ValueError, match="Two things"):
        shelf.register("one")(1)


def thing(
    *,
    size: Annotated[int, Field(ge=1, description="How large.")] = 4,
    mode: Annotated[Literal["a", "b"] | int, Field(description="How.")] = "a",
    scale: Annotated[float, Field(description="How much.")] = 1,
    classes: int = 10,
) -> None:
    """A thing."""


def test_the_signature_is_the_form() -> None:
    fields = schema(thing)["properties"]
    assert list(fields) == ["size", "mode", "scale"]
    assert fields["size"] == {
        "default": 4,
        "description": "How large.",
        "minimum": 1,
        "title": "Size",
        "type": "integer",
    }


def test_options_are_checked_and_defaults_are_not_repeated() -> None:
    assert check("thing", thing, {"size": 4, "mode": 3, "scale": 2}) == {"mode": 3, "scale": 2}
    with pytest.raises(BadOption, match=r"'thing' has no option 'sise'\. Did you mean 'size'\?"):
        check("thing", thing, {"sise": 1})
    for wrong in ({"size": 0}, {"size": True}, {"size": "4"}, {"size": 2.5}, {"mode": "c"}):
        with pytest.raises(BadOption, match="'thing' cannot take"):
            check("thing", thing, wrong)
    with pytest.raises(BadOption, match="It has no options"):
        check("nothing", lambda: None, {"size": 1})
