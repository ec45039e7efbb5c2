"""Errors travel to other processes and stay what they are."""

import pickle

import pytest

from attention import errors
from attention.errors import AttentionError, Overloaded, UnknownName, first_line

KINDS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, AttentionError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_on_the_other_side(kind: type[AttentionError]) -> None:
    error = UnknownName("module", "cbma", ["cbam"]) if kind is UnknownName else kind("A sentence.")
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (kind, str(error), vars(error))


def test_when_to_come_again_travels_along() -> None:
    assert pickle.loads(pickle.dumps(Overloaded("Full.", retry_after_s=7.0))).retry_after_s == 7.0


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("\nIt is full.\n  at disk.py:3", "It is full"),
        ("", "ValueError"),
        ("\n", "ValueError"),
        ("In short:\nno", "In short"),
    ],
)
def test_the_first_line_of_an_error_fits_into_a_sentence(said: str, line: str) -> None:
    assert first_line(ValueError(said)) == line and len(first_line(ValueError(1000 * "x"))) == 300
