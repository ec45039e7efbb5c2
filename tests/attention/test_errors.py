"""Errors travel to other processes and stay what they are."""

import pickle

import pytest

from attention import errors
from attention.errors import AttentionError, Overloaded, UnknownName

KINDS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, AttentionError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_on_the_other_side(kind: type[AttentionError]) -> None:
    error = UnknownName("module", "cbma", ["cbam"]) if kind is UnknownName else kind("A sentence.")
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (kind, str(error), vars(error))


def test_when_to_come_again_travels_along() -> None:
    assert pickle.loads(pickle.dumps(Overloaded("Full.", retry_after_s=7.0))).retry_after_s == 7.0
