"""What the service refuses and how far jobs are, in Chinese: every kind of problem, every note of progress."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dashboard
from attention.build import resolve
from attention.client import ServiceError
from attention.data.file_kinds import ADVICE
from attention.errors import BadData, BadImage, BadTable, InvalidRequest, UnknownName
from attention.spec import Variant
from dashboard import language
from dashboard.refusals import FAILED, KINDS, explained
from dashboard.service_sentences import translated
from server.api.entrance import problem_kinds
from server.api.http.openapi import FAULTS
from server.problems import STATUS

FOLDER = Path(dashboard.__file__).parent
LIBRARY = FOLDER.parent / "attention"


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "current", lambda: "zh")


def test_every_problem_is_explained_by_its_kind_or_its_status(chinese: None) -> None:
    assert set(KINDS) <= set(problem_kinds()), "no word for what cannot happen"
    statuses = {*FAULTS, *STATUS.values()}
    texts = [explained(ServiceError("Something odd.", status, kind="new-kind")) for status in statuses]
    texts += [explained(ServiceError("Something odd.", kind=kind)) for kind in KINDS]
    for text in texts:
        assert re.match(r"[\u4e00-\u9fff]", text) and text.endswith("Something odd."), "and its own words stay"
        assert not text.startswith(language.say(FAILED))


def test_a_new_class_of_errors_means_what_its_parent_means(chinese: None) -> None:
    class OddData(BadData):
        """A data set that is odd."""

    assert explained(OddData("Odd.")) == explained(BadData("Odd."))
    assert explained(OddData("Odd.")) != explained(InvalidRequest("Odd.")) != explained(OSError("Odd."))


def test_a_known_sentence_is_said_in_chinese_alone(chinese: None) -> None:
    text = explained(UnknownName("attention module", "cbma", ["cbam"]))
    assert "cbma" in text and "cbam" in text and not re.search("[A-Za-z]{5}", text)


@pytest.mark.parametrize(
    "error",
    [
        BadImage(f"The file is a text file, not an image of a known format. {ADVICE}"),
        BadTable(
            "Line 1 of x.csv has no column arm and no column score, and is of no export known here. It has: nothing. "
            "Say which of them are arm, seed and score: arm_column, seed_column and score."
        ),
    ],
)
def test_what_a_visitor_does_wrong_is_said_in_chinese_with_what_to_do(chinese: None, error: Exception) -> None:
    assert re.match(r"[\u4e00-\u9fff]|x\.csv", explained(error)) and "请" in explained(error)
    assert not re.search("[A-Za-z]{3,} [A-Za-z]{3,}", explained(error))


@pytest.mark.parametrize("name", ["resnet2000/se", "timm(model=foo)", "foo bar", "resnet20/xyz", "resnet20/se(x=1)"])
def test_a_name_that_is_wrong_is_explained_in_chinese(chinese: None, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(Variant.parse(name))
    assert not re.search("[a-z]{3,} [a-z]{3,} [a-z]{3,}", explained(caught.value).partition("pip install")[0])


def test_a_sentence_whose_minus_alone_was_changed_is_not_taken_for_translated(chinese: None) -> None:
    assert re.match(r"[\u4e00-\u9fff]", explained("Odd thing of -5."))


def test_english_stays_as_it_was() -> None:
    assert explained(UnknownName("attention module", "cbma", ["cbam"])).startswith("There is no attention module named")
    assert explained(None) == "It failed without a reason."


def notes() -> Iterator[tuple[str, str]]:
    """File and note of every f-string or constant that the library says about progress."""
    for file in (*LIBRARY.glob("analyses/*.py"), LIBRARY / "training" / "run_study.py"):
        tree = ast.parse(file.read_text("utf-8"))
        said = {
            node.targets[0].id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("progress") and len(node.args) > 2:
                note = node.args[2]
                note = said.get(note.id, note) if isinstance(note, ast.Name) else note
                if isinstance(note, ast.JoinedStr | ast.Constant):
                    yield file.name, filled(note)


def filled(note: ast.JoinedStr | ast.Constant) -> str:
    """The note with a number in the place of every value."""
    parts = note.values if isinstance(note, ast.JoinedStr) else [note]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)


def test_every_note_of_progress_has_its_chinese(chinese: None) -> None:
    found = list(notes())
    assert len(found) >= 10
    assert not [(file, note) for file, note in found if not re.search(r"[\u4e00-\u9fff]", translated(note))]


def test_no_page_shows_an_error_in_the_services_own_words_alone() -> None:
    for file in FOLDER.rglob("*.py"):
        if file.name not in ("refusals.py", "catalogue.py"):
            assert not re.search(
                r"str\(error\)|\{error\}|\{job\.error\}|translated\(job\.error\)", file.read_text("utf-8")
            ), file
