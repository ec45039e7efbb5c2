"""A split by hash keeps its share, reaches every class, and never parts the same pixels."""

import hashlib
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.data.intake.stratify import apportion, held_out
from attention.errors import BadData


def digests(count: int, salt: str = "") -> list[bytes]:
    return [hashlib.sha256(f"{salt}{number}".encode()).digest() for number in range(count)]


@pytest.mark.parametrize(
    ("counts", "tested"),
    [({"a": 12, "b": 12}, 5), (dict.fromkeys("abcdefghij", 5), 10), ({"a": 2, "b": 98}, 20), ({"a": 3, "b": 3}, 2)],
)
def test_the_share_is_kept_and_every_class_is_on_both_sides(counts: dict[str, int], tested: int) -> None:
    labels = [label for label, count in counts.items() for _ in range(count)]
    chosen = held_out(labels, digests(len(labels)), 0.2)
    assert len(chosen) == tested
    by_class = Counter(labels[number] for number in chosen)
    assert all(1 <= by_class[label] < count for label, count in counts.items())


def test_the_choice_is_of_images_and_not_of_their_order() -> None:
    labels, contents = list("ab" * 20), digests(40)
    order = list(range(40))
    random.Random(1).shuffle(order)
    moved = held_out([labels[n] for n in order], [contents[n] for n in order], 0.2)
    assert {order[n] for n in moved} == held_out(labels, contents, 0.2)


def test_a_class_that_shares_its_images_with_others_keeps_one_to_train_on_and_one_to_test_on() -> None:
    rows = [("a", 2), ("a", 2), ("a", 2), ("a", 3), ("b", 0), ("b", 1), ("c", 0), ("c", 2)]
    chosen = held_out([label for label, _ in rows], [bytes([number]) for _, number in rows], 0.2)
    for label in "abc":
        assert {number in chosen for number, row in enumerate(rows) if row[0] == label} == {True, False}


@pytest.mark.full
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=8, max_size=60))
def test_the_same_pixels_are_never_parted(rows: list[tuple[str, int]]) -> None:
    labels, contents = [label for label, _ in rows], [bytes([number]) for _, number in rows]
    try:
        chosen = held_out(labels, contents, 0.2)
    except BadData as error:
        assert "only one different image" in str(error)
        return
    tested = {contents[number] for number in chosen}
    assert all((content in tested) == (number in chosen) for number, content in enumerate(contents))
    for label in set(labels):
        assert any(labels[n] == label and n not in chosen for n in range(len(rows)))


@pytest.mark.full
@given(st.dictionaries(st.text(max_size=3), st.integers(1, 500), min_size=1, max_size=20))
def test_shares_of_classes_are_within_one_of_exact_and_sum_to_the_whole(counts: dict[str, int]) -> None:
    shares = apportion(counts, 0.2)
    assert all(max(1, int(0.2 * count)) <= shares[label] <= int(0.2 * count) + 1 for label, count in counts.items())
    assert sum(shares.values()) == max(
        round(0.2 * sum(counts.values())), sum(max(1, int(0.2 * n)) for n in counts.values())
    )
