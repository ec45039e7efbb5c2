"""What analyses say of themselves, in Chinese: every caveat, condition and method that stands in their code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import attention
from dashboard import language
from dashboard.service_sentences import translated

LIBRARY = Path(attention.__file__).parent
FOLDERS = ("analyses", "measuring", "interventions")
DRAWN = {"diagnose.py", "diagnosis.py"}
"""Files whose sentences a page says itself, from their numbers."""
PARTS = (
    "Its stages are not known; leave stage out for its last map.",
    "Gates of kind 7 in 7, such as 7, are left out: 7.",
    "A fresh module leaves 7 of its input's standard deviation7: after a trained block's last normalisation, that "
    "block's residual branch starts at 7 of what it was.",
)
"""Sentences that are part of a refusal, or whose values are in quotes or words."""


def sentences(file: Path) -> Iterator[str]:
    """Sentences of six words or more that are neither documentation nor raised, with 7 in the place of every value."""
    module = ast.parse(file.read_text("utf-8"))
    left_out = {id(part) for node in ast.walk(module) if isinstance(node, ast.Raise) for part in ast.walk(node)}
    left_out |= {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    left_out |= {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(module):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        if id(node) not in left_out and isinstance(node, ast.JoinedStr | ast.Constant):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)
            if re.match(r"[A-Z].*\.$", text, re.DOTALL) and len(text.split()) >= 6:
                yield text


def test_every_caveat_of_an_analysis_has_its_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "current", lambda: "zh")
    files = [file for folder in FOLDERS for file in sorted((LIBRARY / folder).glob("*.py")) if file.name not in DRAWN]
    said = {text for file in files for text in sentences(file)} - set(PARTS)
    assert len(said) >= 60
    assert not [text for text in said if not re.search("[\u4e00-\u9fff]", translated(text))]
