"""Short names that no client sends by accident: refused with a sentence, and no letter of them is read many times."""

import difflib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

import pytest
from starlette.testclient import TestClient

from attention.errors import BadVariantName
from attention.names import LONGEST, split_names
from attention.spec import Variant
from tests.server.web.hostile import ID, refused, serving

COMPARED = 4 * LONGEST
"""Letters of a name that may be compared with the names there are; what is longer than any name is not compared."""


class Text(str):
    """A text that counts how many of its letters are read, or searched."""

    letters_read = 0

    def __getitem__(self, key: SupportsIndex | slice, /) -> str:
        part = super().__getitem__(key)
        self.letters_read += len(part)
        return part

    def find(self, *args: Any) -> int:
        self.letters_read += len(self)
        return super().find(*args)

    def count(self, *args: Any) -> int:
        self.letters_read += len(self)
        return super().count(*args)

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        self.letters_read += len(self)
        return super().partition(sep)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with serving(tmp_path_factory.mktemp("requests")) as client:
        yield client


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many letters each search for a name that is close was given."""
    letters, search = list[int](), difflib.get_close_matches

    def counted(word: str, names: Sequence[str], n: int = 3, cutoff: float = 0.6) -> list[str]:
        letters.append(len(word))
        return search(word, names, n, cutoff)

    monkeypatch.setattr("difflib.get_close_matches", counted)
    monkeypatch.setattr("attention.registry.aliases.get_close_matches", counted)
    return letters


@pytest.mark.parametrize(
    "name",
    [
        "a" * 9_000,
        "a" * 900_000,
        "(" * 10_000,
        "resnet20/se" + "()" * 4_000,
        "resnet20/se(reduction=" + "[" * 9_000 + ")",
        "resnet20/se(reduction=" + "9" * 5_000 + ")",
        "resnet20/se(" + ",".join(f"a{number}=1" for number in range(1_000)) + ")",
        "resnet20/se?" + "&".join(f"a{number}=1" for number in range(1_000)),
        "resnet20/se@standard:" + "+".join(["1-99"] * 1_900),
        "resnet20/se@standard:" + "9" * 5_000,
        "resnet20/se(__class__=1)",
        "resnet20/se(self=1)",
        "resnet20/se(channels=1)",
        "resnet20(classes=5)/se",
        "resnet20(block=1)/se",
        "resnet20/se(reduction=__import__)",
        "resnet20/se(reduction=2;3)",
        "resnet20/se(reduction=2)(reduction=4)",
        "resnet20/se(reduction=2,reduction=4)",
        "../../etc/passwd",
        "resnet20/../se",
        "resnet20/se?weights=file:../../../etc/passwd",
        "resnet20/se?weights=file:%2e%2e%2fx",
        "resnet20/se?weights=hub:../../x",
        "resnet20/se?weights=hub:http://localhost/x",
        "resnet20/se?weights=%00",
        "resnet20/se?seed=%zz",
        "resnet20/se\nresnet20/eca",
        "os.system/se",
        "__init__/se",
        "resnet20/__init__",
        "ｒｅｓｎｅｔ２０/ｓｅ",
        "",
        " ",
        "?",
        "@",
        "/",
    ],
    ids=lambda name: repr(name)[:30],
)
def test_a_short_name_that_is_none(client: TestClient, compared: list[int], name: str) -> None:
    image = ID.decode()
    refused(client, "POST", "/v1/compare", json={"images": [image], "variants": [name]})
    if "weights=file" not in name:  # such a job fails with the same sentence when its turn comes
        job = {"analysis": "compare", "request": {"images": [image], "variants": [name]}}
        refused(client, "POST", "/v1/jobs", json=job)
    assert sum(compared) <= COMPARED


def test_a_name_longer_than_any_networks_is_not_read() -> None:
    with pytest.raises(BadVariantName, match="A name of 10,012 letters"):
        Variant.parse("resnet20/se?" + "a" * 10_000)


@pytest.mark.parametrize("text", ["," * 50_000, "a," * 25_000, "(," * 25_000, "),(" * 15_000, "a(b=1,c=2)," * 5_000])
def test_a_list_of_names_is_split_in_one_go(text: str) -> None:
    counted = Text(text)
    split_names(counted)
    assert len(text) <= counted.letters_read <= 4 * len(text)


def test_commas_inside_parentheses_belong_to_the_options() -> None:
    """A comma parts two names unless the next parenthesis after it closes; every text of five such letters."""
    for text in map("".join, itertools.product("a,()", repeat=5)):
        expected, part = [], ""
        for at, letter in enumerate(text):
            after = [other for other in text[at + 1 :] if other in "()"]
            if letter == "," and after[:1] != [")"]:
                expected.append(part)
                part = ""
            else:
                part += letter
        assert list(split_names(text)) == [one for one in [*expected, part] if one]
