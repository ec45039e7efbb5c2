"""The package's face: its names, loaded when they are used, whatever else was imported before."""

import subprocess
import sys

import pytest

NAMES = (
    *("AsyncClient", "Client", "Lab", "Variant", "ablate", "attach", "build", "capture", "count", "diagnose_model"),
    *("export", "look", "train", "watch"),
)


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.full
def test_importing_the_package_or_a_variant_loads_no_torch() -> None:
    code = "import sys, attention; from attention import Variant; print('torch' in sys.modules, Variant.parse('eca'))"
    assert run(code).startswith("False ")


@pytest.mark.full
@pytest.mark.parametrize("first", ["", "import attention.watch, attention.build, attention.attach"])
def test_the_functions_are_the_same_whatever_was_imported_first(first: str) -> None:
    code = f"{first}\nimport attention\nfrom attention import {', '.join(NAMES)}\n"
    code += (
        f"print(all(callable(getattr(attention, name)) for name in {NAMES}), watch is attention.watch, dir(attention))"
    )
    answer = run(code)
    assert answer.startswith("True True") and all(repr(name) in answer for name in NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import attention

    with pytest.raises(AttributeError, match="has no attribute 'wach'"):
        attention.wach  # noqa: B018
