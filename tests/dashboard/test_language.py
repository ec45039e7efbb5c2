"""Two languages: every sentence of the code has its Chinese, with the same values in it."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from babel.messages import Catalog

from attention import shipped_reports
from attention.counting.published import GROUPS
from attention.reports.latency import LatencyRequest
from attention.reports.study import StudyRequest
from dashboard import catalogue, language
from dashboard.service_sentences import translated

PLACE = re.compile(r"%\((\w+)\)")


@cache
def sentences() -> Catalog:
    """Every sentence of the code, read once."""
    return catalogue.sentences()


@pytest.mark.full
def test_every_sentence_has_its_chinese() -> None:
    chinese = {message.id: message.string for message in language.read(language.CATALOGUE)}
    missing = [message.id for message in sentences() if message.id and not chinese.get(message.id)]
    assert not missing, "run `make words`, and translate these"


@pytest.mark.full
def test_the_catalogue_holds_nothing_that_no_page_says() -> None:
    said = {message.id for message in sentences()} | set(catalogue.titles())
    assert not [message.id for message in language.read(language.CATALOGUE) if message.id not in said], (
        "run `make words`"
    )


@pytest.mark.full
def test_a_module_is_one_file_and_is_shown_in_english_until_its_title_has_its_chinese() -> None:
    """Those that come with the project have theirs; a new module's file breaks no test, and `make words` lists it."""
    every, must = set(catalogue.titles()), {message.id for message in sentences()}
    chinese = {message.id: message.string for message in language.read(language.CATALOGUE)}
    assert not {title for title in every & must if title[0] != "`"}, "it would have to be translated with its file"
    assert sum(bool(chinese.get(title)) for title in every) >= 100, "those that come with the project"


def test_a_translation_has_the_same_values_and_no_english_sentence() -> None:
    for message in (*language.read(language.CATALOGUE), *language.read(language.SERVICE)):
        if message.id:
            assert sorted(PLACE.findall(str(message.id))) == sorted(PLACE.findall(str(message.string))), message.id
            same = message.id == message.string
            assert not (same and " " in PLACE.sub("", str(message.id)).strip("% s")), message.id


def test_a_sentence_is_said_in_the_language_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert language.say("%(count)s jobs", count=3) == "3 jobs"
    monkeypatch.setattr(language, "current", lambda: "zh")
    assert language.say("%(count)s jobs", count=3) == "3 个任务"
    assert language.say("A sentence that no catalogue has.") == "A sentence that no catalogue has."


ONE_WORD = {
    "图片": "图像",
    "您": "你",
    "增益": "提升",
    "研究": "实验",
    "配方": "训练方法",
    "支路": "分支",
    "瓶颈层": "瓶颈",
    "缩减比": "压缩比",
    "滤波器": "卷积核",
    "接口": "API",
    "不予下结论": "暂不公布",
    "什么也没学到": "没有学到东西",
    "(?<![专部])门(?!控)": "门控",
    "(?<!`)epoch(?!s?`)": "周期",
}
"""Another word that was in use for a thing -> the one that all pages have for it."""


def test_one_thing_has_one_word_in_chinese() -> None:
    both = (*language.read(language.CATALOGUE), *language.read(language.SERVICE))
    chinese = [PLACE.sub("", str(message.string)) for message in both if message.id]
    assert not [(text, word) for text in chinese for other, word in ONE_WORD.items() if re.search(other, text)]


PAGES = [
    file
    for folder in ("views", "drawing", "widgets")
    for file in sorted((Path(catalogue.FOLDER) / folder).rglob("*.py"))
]
WORDS = re.compile(r"[a-z]{2,},? [(a-z]|^[A-Z][a-z]{2,}\b")
NO_WORDS = re.compile(r"^\s*[<.]|datum[. ]|:[QNOT]$|^export |^(def|lab) ")
"""HTML, CSS, expressions and fields of charts, code of Python."""
NAMES = {
    "None",
    "Static",
    "Random",
    "Identity",
    "Triplet",
    "Markdown",
    "Value error, ",
    "no evidence",
    "one run",
    "fresh attention",
}
"""Names of modules and formats, what pydantic puts before its sentences, and states of evidence."""


def unsaid(file: Path) -> Iterator[str]:
    """Words of a page's code that neither go through ``say`` nor are what the catalogue translates in tables."""
    module = ast.parse(file.read_text("utf-8"))
    said = {
        part
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in catalogue.KEYWORDS
        for part in ast.walk(node)
    }
    said |= {node.value for node in ast.walk(module) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr) and node not in said:
            texts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
            said |= (
                {part for value in node.values for part in ast.walk(value)}
                if texts and NO_WORDS.search(texts[0])
                else set()
            )
    for node in ast.walk(module):
        words = node.value if isinstance(node, ast.Constant) and node not in said else None
        if isinstance(words, str) and WORDS.search(words) and not NO_WORDS.search(words) and words not in NAMES:
            yield words


def test_no_words_of_a_page_pass_the_catalogue_by() -> None:
    known = {message.id for message in (*sentences(), *language.read(language.SERVICE))}
    assert not [(file.name, words) for file in PAGES for words in unsaid(file) if words not in known]


def half_said(file: Path) -> Iterator[str]:
    """Single words that stand in English beside a branch that is said: ``say("block") if one else "other"``."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.IfExp):
            branches = (node.body, node.orelse)
            said = [one for one in branches if isinstance(one, ast.Call) and ast.unparse(one.func) == "say"]
            words = [one.value for one in branches if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            yield from (text for text in words if said and re.search("[A-Za-z]{2}", text))


def test_no_word_stands_in_english_beside_one_that_is_said() -> None:
    assert not [(file.name, word) for file in PAGES for word in half_said(file)]


def untitled(file: Path) -> Iterator[str]:
    """Fields of charts that are shown under the pointer by their English name."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "tooltip":
            for part in ast.walk(node.value):
                if isinstance(part, ast.List):
                    yield from (ast.unparse(one) for one in part.elts if isinstance(one, ast.Constant))
                elif isinstance(part, ast.Call) and ast.unparse(part.func) == "alt.Tooltip":
                    yield from () if any(word.arg == "title" for word in part.keywords) else (ast.unparse(part),)


def test_every_field_under_the_pointer_has_a_title() -> None:
    assert not [(file.name, field) for file in PAGES for field in untitled(file)]


def test_names_in_a_row_have_the_comma_of_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    assert language.listed(["SE", "ECA"]) == "SE, ECA"
    monkeypatch.setattr(language, "current", lambda: "zh")
    assert language.listed(["SE", "ECA"]) == "SE、ECA"


def test_a_page_with_words_that_pass_by_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text(
        'st.button("Start the study")\nst.caption(f"{n} images of it")\nst.caption(say("Said so"))\n', "utf-8"
    )
    assert list(unsaid(page)) == ["Start the study", " images of it"]
    page.write_text('title = say("images by class") if classes else "photos"\n', "utf-8")
    assert list(half_said(page)) == ["photos"]


def test_a_negative_number_has_a_minus_sign_and_what_is_hyphenated_keeps_its_hyphen() -> None:
    assert translated("-0.5 points [-1.09, 0.1], sha-256, 1e-4, a k=-1 b, x-1") == (
        "−0.5 points [−1.09, 0.1], sha-256, 1e-4, a k=-1 b, x-1"
    )


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("After 10 clean runs a failure rate up to 26 % cannot be excluded.", ("10", "26 %", "失败率")),
        (
            "Five flowers: 2,640 to train on, 294 cut from them by the hash of each file for validation, 736 to test "
            "on.",
            ("五种花：2,640 张用于训练", "哈希值", "294 张用于验证", "736 张用于测试"),
        ),
        (
            "resnet20/se: not decided (+0.00 points [-0.61, +0.61], n = 10, on these test images); about 57 seeds in "
            "all (36 to 117) would tell 0.3 points from none. At the next look, 20 seeds, the chance is 2 %.",
            ("resnet20/se：未定", "[−0.61, +0.61]", "n = 10", "57 个种子（36 到 117）", "0.3", "20 个种子", "2 %"),
        ),
    ],
)
def test_a_sentence_of_the_service_keeps_its_numbers_in_chinese(
    monkeypatch: pytest.MonkeyPatch, english: str, chinese: Sequence[str]
) -> None:
    assert translated(english) == english.replace("[-", "[−")
    monkeypatch.setattr(language, "current", lambda: "zh")
    assert all(part in translated(english) for part in chinese)
    assert not re.search("[a-z]{3,} [a-z]{3,}", translated(english))
    assert translated("A sentence that no template has.") == "A sentence that no template has."


def test_all_that_shipped_reports_say_first_has_its_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [report.conditions for _, report in shipped_reports.of(LatencyRequest)]
    for stored in shipped_reports.all_reports().values():
        report = stored.report
        said += [report["headline"], *report["caveats"]]
        said += [report[key] for key in ("images", "calibration", "methods") if key in report]
    monkeypatch.setattr(language, "current", lambda: "zh")
    chinese = {sentence: translated(sentence) for sentence in said if sentence}
    assert not [english for english, text in chinese.items() if not re.search("[\u4e00-\u9fff]", text)]
    assert not [text for text in chinese.values() if re.search("[a-z]{3,} [a-z]{3,} [a-z]{3,}", text)]
    headline = next(text for english, text in chinese.items() if english.startswith("Replacing every gate"))
    assert "均值" in headline and "−6.00 个百分点 [−13.48, +1.72]" in headline


def test_sentences_that_stand_together_are_each_said_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict of the second arm was taken for a part of the interval of the first."""
    monkeypatch.setattr(language, "current", lambda: "zh")
    interval = "[+1.01, +1.20], n = 8, on these test images"
    assert translated(f"eca is better by +1.11 points {interval}. se is worse by -0.55 points {interval}.") == (
        "eca 更好：+1.11 个百分点 [+1.01, +1.20]，n = 8，限于这些测试图像。"
        "se 更差：−0.55 个百分点 [+1.01, +1.20]，n = 8，限于这些测试图像。"
    )
    learned = "No run of the baseline can be told from always naming the most frequent class on 100 test images."
    for text in (f"Nothing learned. {learned}", f"resnet20/se: nothing learned. {learned}"):
        assert "没有学到东西。基线没有一次训练" in translated(text) and "100 张测试图像" in translated(text)


def test_a_name_is_no_word_that_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline that its owner calls ``none`` became the Chinese word for nothing."""
    monkeypatch.setattr(language, "current", lambda: "zh")
    assert translated("No arm is shown to be better or worse than none.") == "没有网络被证明优于或劣于 none。"
    assert translated("No arm is shown to be better or worse than the baseline.") == "没有网络被证明优于或劣于 基线。"


def test_all_that_published_results_say_has_its_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {text for group in GROUPS for text in (group.title, group.recipe, group.warning or "", group.metric)}
    said |= {result.conditions for group in GROUPS for result in group.results}
    said |= {group.source for group in GROUPS if re.search("[a-z]{3,} [a-z]{3,}", group.source)}
    monkeypatch.setattr(language, "current", lambda: "zh")
    chinese = {text: translated(text) for text in said if text}
    assert not [text for text, words in chinese.items() if not re.search("[\u4e00-\u9fff]|^k = ", words)]
    assert not [words for words in chinese.values() if re.search("[a-z]{3,} [a-z]{3,} [a-z]{3,}", words)]


def test_all_that_the_shipped_studies_say_has_its_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for _, study in shipped_reports.of(StudyRequest):
        verdicts = [arm.verdict for arm in study.arms if arm.verdict]
        said += [study.headline, *study.caveats, *study.test_set, study.data.sentence]
        said += [sentence for verdict in verdicts for sentence in (verdict.sentence, *verdict.notes)]
    monkeypatch.setattr(language, "current", lambda: "zh")
    assert not [sentence for sentence in said if not re.search("[\u4e00-\u9fff]", translated(sentence))]
