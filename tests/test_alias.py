"""attention_lab is the library under a second name: the same objects, also beside a user's own attention.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(code: str, folder: Path) -> str:
    """What a script in a folder prints; the library is found after the folder, as where it is installed."""
    (folder / "script.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_names_give_the_same_objects(tmp_path: Path) -> None:
    code = """
import attention_lab, attention_lab.reports.compare as second
from attention_lab.spec import Variant
import attention, attention.spec, attention.reports.compare as first
print(attention_lab is attention, Variant is attention.spec.Variant, first is second, attention_lab.Variant is Variant)
print(first.__name__, first.__spec__.name, attention.spec.__spec__.name)
"""
    assert (
        run(code, tmp_path)
        == "True True True True\nattention.reports.compare attention.reports.compare attention.spec\n"
    )


@pytest.mark.full
def test_it_works_beside_a_users_own_attention(tmp_path: Path) -> None:
    (tmp_path / "attention.py").write_text("class SEBlock:\n    pass\n")
    code = """
import attention_lab, attention, sys
from attention_lab.reports.cost import CostRequest
from attention_lab.spec import Variant
report = attention_lab.Lab(".", device="cpu").ask(CostRequest(variants=(Variant.parse("resnet20/eca"),)))
print(attention.SEBlock.__module__, report.variants[0].name, type(report).__module__)
print(attention_lab.look("cat_wool.jpg", "se", lab=attention_lab.Lab(".", device="cpu")).variants[0].name)
print(sorted(name for name in sys.modules if name.startswith("attention.")))
"""
    own, look, others = run(code, tmp_path).splitlines()
    assert own == "attention resnet20/eca?classes=10 attention_lab.reports.cost"
    assert look.startswith("resnet18(width=0.25)/se")
    assert others == "[]"


def test_what_is_not_there_is_an_import_error(tmp_path: Path) -> None:
    code = "import attention_lab\ntry:\n    import attention_lab.nought\nexcept ModuleNotFoundError as e:\n    print(e)"
    assert "attention_lab.nought" in run(code, tmp_path)
