"""Where two reports differ: every place is found, told by a path that leads there, the most telling first."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.answers.differences import SHOWN, differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab", max_size=2),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inside, max_size=3),
    max_leaves=8,
)


def at(path: str, value: Any) -> Any:
    """What a path leads to; None if it leads nowhere."""
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        try:
            value = value[int(index)] if index else value[key]
        except (IndexError, KeyError, TypeError):
            return None
    return value


@pytest.mark.full
@given(st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3))
def test_a_report_is_equal_to_itself(report: dict[str, Any]) -> None:
    found = differences(report, report)
    assert (found.count, found.shown) == (0, ())


def test_a_path_leads_to_both_values() -> None:
    before = {"rows": [{"top": [1.0, 2.0], "label": "cat"}, {"top": [3.0]}], "n": 2, "gone": 5}
    after = {"rows": [{"top": [1.0, 2.5], "label": "dog"}, {"top": [3.0, 4.0]}], "n": 3}
    found = differences(before, after)
    assert {one.path for one in found.shown} == {"rows[0].top[1]", "rows[0].label", "rows[1].top[1]", "n", "gone"}
    assert found.count == 5 and not found.rounding
    for one in found.shown:
        assert (at(one.path, before), at(one.path, after)) == (one.before, one.after)


def test_what_is_no_number_comes_first_and_then_the_largest_for_its_size() -> None:
    before = {"a": 100.0, "b": 1.0, "c": "x", "d": 1e-3, "e": True}
    after = {"a": 101.0, "b": 1.5, "c": "y", "d": 3e-3, "e": 1}
    assert [one.path for one in differences(before, after).shown] == ["c", "e", "d", "b", "a"]


def test_many_differences_are_counted_and_a_hundred_told() -> None:
    found = differences({"v": [1.0] * 1000}, {"v": [1.0 + number for number in range(1000)]})
    assert found.count == 999 and len(found.shown) == SHOWN
    assert found.shown[0].path == "v[999]" and found.shown[-1].path == "v[900]"


@pytest.mark.parametrize(
    ("before", "after", "rounding"),
    [
        (0.25, 0.2500001, True),
        (1e-9, 2e-9, True),
        (0.25, 0.26, False),
        (25_557_032, 25_557_033, False),  # a parameter more is a parameter more
        (1e9, 1e9 + 1, True),
        ("se", "eca", False),
        (0.5, None, False),
    ],
)
def test_rounding_is_told_from_change(before: Any, after: Any, rounding: bool) -> None:
    assert differences({"x": before}, {"x": after}).rounding is rounding


def test_long_texts_and_whole_parts_are_told_in_short() -> None:
    (text,) = differences({"x": "a" * 1000}, {"x": "b"}).shown
    assert text.before == "a" * 80 + "…" and text.after == "b"
    (part,) = differences({"x": [1, 2, 3]}, {"x": None}).shown
    assert part.before == "3 entries" and part.after is None
