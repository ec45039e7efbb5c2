"""Two languages: every sentence of the code has its Chinese, with the same values in it."""

import re

import pytest

from dashboard import catalogue, language

PLACE = re.compile(r"%\((\w+)\)")


@pytest.mark.full
def test_every_sentence_has_its_chinese() -> None:
    chinese = {message.id: message.string for message in catalogue.translated()}
    missing = [message.id for message in catalogue.sentences() if message.id and not chinese.get(message.id)]
    assert not missing, "run `make words`, and translate these"


@pytest.mark.full
def test_the_catalogue_holds_nothing_that_no_page_says() -> None:
    said = {message.id for message in catalogue.sentences()}
    assert not [message.id for message in catalogue.translated() if message.id not in said], "run `make words`"


def test_a_translation_has_the_same_values_and_no_english_sentence() -> None:
    for message in catalogue.translated():
        if message.id:
            assert sorted(PLACE.findall(str(message.id))) == sorted(PLACE.findall(str(message.string))), message.id
            same = message.id == message.string
            assert not (same and " " in PLACE.sub("", str(message.id)).strip("% s")), message.id


def test_a_sentence_is_said_in_the_language_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert language.say("%(count)s jobs", count=3) == "3 jobs"
    monkeypatch.setattr(language, "current", lambda: "zh")
    assert language.say("%(count)s jobs", count=3) == "3 个任务"
    assert language.say("A sentence that no catalogue has.") == "A sentence that no catalogue has."
