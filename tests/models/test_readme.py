"""The five lines of docs/your_model.md work as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.models.zoo import library

pytestmark = [pytest.mark.models, pytest.mark.slow]


def test_the_five_lines_work(capsys: Any) -> None:
    library("timm")
    page = (Path(__file__).parents[2] / "docs" / "your_model.md").read_text()
    block = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(block, names)
    printed = capsys.readouterr().out
    assert "16 gates in ResNet" in printed and "4,091,699,200" in printed and "28,088,024" in printed
    assert names["logits"].shape == (2, 1000)
