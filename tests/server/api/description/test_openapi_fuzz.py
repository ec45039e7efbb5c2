"""Whatever the OpenAPI description allows, and much that it does not, gets an answer that the description tells of.

Schemathesis makes requests from the description: what it calls positive data fits the schemas, negative data breaks one
of them somewhere. Names that are made up nearly always end in a 404, so some requests get names of things that are
there. Every operation is asked in-process, always the same requests; the limits on size and work of a question keep
each of them small. https://schemathesis.readthedocs.io
"""

from importlib import import_module
from pathlib import Path

import pytest

from server.app import create_app
from server.settings import Settings

pytest.register_assert_rewrite("tests.server.api.description.fuzz")

REQUESTS = 40
"""Requests of each kind, to each operation."""


@pytest.mark.slow
def test_every_operation_answers_as_it_is_described_and_also_succeeds(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    fuzz = import_module("tests.server.api.description.fuzz")  # importing Schemathesis takes seconds of CPU
    with fuzz.stocked(tmp_path) as there:
        answered = fuzz.ask_all(there, REQUESTS, subtests)
    paths = create_app(Settings(data=tmp_path)).openapi()["paths"]
    assert set(answered) == {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    asking = {label: min(statuses) for label, statuses in answered.items() if label.split()[0] in ("GET", "POST")}
    never = [label for label, least in asking.items() if least >= 300]
    assert not never, "their questions never got past the door"
