"""The sentences of the dashboard and their Chinese: ``python -m dashboard.catalogue`` brings the catalogue up to date.

New sentences are added without a translation, and those that no page says any more are dropped. A new module needs no
translation: one file adds it.
"""

import ast
import csv
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import write_po

from attention.reports.disagreement import RANKS
from attention.reports.latency import FITS, MODES
from attention.reports.parts.recipes import RECIPE_NOTES, RECIPES
from attention.reports.sweep import FAMILIES
from attention.spec import ABLATIONS, POSITIONS, Recipe
from dashboard.language import CATALOGUE, read

FOLDER = Path(__file__).parent
KEYWORDS = ("say", "marked", "show_caption", "show_text")
"""Functions whose first argument is a sentence."""


def sentences() -> Catalog:
    """Collect the sentences that must have their Chinese: of the code, of pages' titles and of fixed lists."""
    template = Catalog(charset="utf-8")
    for file in sorted(FOLDER.rglob("*.py")):
        where = str(file.relative_to(FOLDER.parent))
        for sentence in _said(ast.parse(file.read_text("utf-8"))):
            flags = ["python-format"] if "%(" in sentence else []
            template.add(sentence, locations=[(where, 1)], flags=flags)
    for sentence in _of_the_library():
        template.add(sentence, locations=[("attention", 1)])
    return template


def titles() -> Iterator[str]:
    """List what files of modules and backbones say, which is shown in English until somebody has translated it.

    These are titles, and names and descriptions of options.
    """
    for shelf in ("modules", "backbones"):
        for file in sorted((FOLDER.parent / "attention" / shelf).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and any(map(_registers, node.decorator_list)):
                    yield (ast.get_docstring(node) or "").partition("\n")[0]
                    yield from _options(node)
                elif isinstance(node, ast.keyword) and node.arg == "description":
                    yield str(getattr(node.value, "value", ""))


def _options(thing: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """List the options of a module or backbone as labels of fields say them."""
    for node in ast.walk(thing):
        if isinstance(node, ast.FunctionDef) and node.name in ("__init__", thing.name):
            yield from (f"`{option.arg}`" for option in node.args.kwonlyargs if option.arg != "classes")


def _of_the_library() -> Iterator[str]:
    """List what sample photos are called, and what replacing, sweeping, ranking, recipes and positions mean."""
    yield from (
        *ABLATIONS.values(),
        *FAMILIES.values(),
        *RANKS.values(),
        *MODES.values(),
        *FITS,
        *FITS.values(),
        *RECIPES,
        *RECIPE_NOTES.values(),
        *POSITIONS.values(),
    )
    for name, field in Recipe.model_fields.items():
        yield from (f"`{name}`", str(field.description))
    with (FOLDER.parent / "attention" / "data" / "samples" / "samples.csv").open(encoding="utf-8") as rows:
        yield from (row["title"] for row in csv.DictReader(rows))


def _registers(decorator: ast.expr) -> bool:
    """Whether a decorator puts what it stands on onto a shelf."""
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(".register")


def _said(module: ast.Module) -> Iterator[str]:
    """Title and description of a page, and every sentence that the code says, also within an f-string."""
    icon, _, words = (ast.get_docstring(module) or "").partition("\n")[0].partition(" ")
    if icon.startswith(":material/"):
        title, _, about = words.partition(": ")
        yield from (title, about)
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS and node.args:
            sentence = node.args[0]
            if isinstance(sentence, ast.Constant) and isinstance(sentence.value, str):
                yield sentence.value


def main() -> None:
    """Write the catalogue anew."""
    catalogue, messages = read(CATALOGUE), sentences()
    for title in titles():
        messages.add(title, locations=[("attention", 1)])
    catalogue.update(messages, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    with CATALOGUE.open("wb") as file:
        write_po(file, catalogue, width=120, sort_output=True, omit_header=False, include_lineno=False)
    missing = [message.id for message in catalogue if message.id and not message.string]
    print(f"{len(list(catalogue)) - 1} sentences, {len(missing)} without Chinese.")


if __name__ == "__main__":
    main()
