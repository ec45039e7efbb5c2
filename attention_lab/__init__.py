"""The library under a name that nobody else owns, for scripts beside an ``attention.py`` of the user's own.

    import attention_lab
    from attention_lab.reports.compare import CompareRequest

Where ``attention`` is this library, every module here is that module itself, so classes are the same objects. Where a
file of the user's own has that name, the library is loaded under this one: each ``attention.x`` that its code imports
becomes ``attention_lab.x``, and the user's file stays what ``import attention`` gives.
"""

import ast
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

LIBRARY = Path(__file__).resolve().parents[1] / "attention"
OWN, OTHER = "attention_lab", "attention"


def renamed(name: str) -> str:
    """A module's name as it is where the library is loaded under this name."""
    return OWN + name.removeprefix(OTHER) if name == OTHER or name.startswith(f"{OTHER}.") else name


class Renamer(ast.NodeTransformer):
    """Rewrites absolute imports of the library in its source."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        node.module = node.module and (node.module if node.level else renamed(node.module))
        return node

    def visit_Import(self, node: ast.Import) -> ast.Import:
        for alias in node.names:
            if alias.name == OTHER:
                alias.name, alias.asname = OWN, alias.asname or OTHER
            alias.name = renamed(alias.name)
        return node


class RenamedFile(SourceFileLoader):
    """A file of the library under this name; it is compiled anew, for the cached code has other imports."""

    def get_code(self, fullname: str) -> CodeType:
        tree = Renamer().visit(ast.parse(self.get_data(self.path), self.path))
        return compile(tree, self.path, "exec", dont_inherit=True)


class SameModule(Loader):
    """A module of the library, which is also known by this name."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(OTHER + spec.name.removeprefix(OWN))
        self._own = module.__spec__, getattr(module, "__loader__", None)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__, module.__loader__ = self._own  # it stays what it is under its first name


class Finder(MetaPathFinder):
    """Finds ``attention_lab.x``.

    Args:
        shared: whether ``attention`` is the library.
    """

    def __init__(self, shared: bool) -> None:
        self._shared = shared

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(f"{OWN}."):
            return None
        place = LIBRARY.joinpath(*fullname.split(".")[1:])
        package = place / "__init__.py"
        file = package if package.is_file() else place.with_suffix(".py")
        if not file.is_file():
            return None
        if self._shared:
            return ModuleSpec(fullname, SameModule(), is_package=file == package)
        inside = [str(place)] if file == package else None
        loader = RenamedFile(fullname, str(file))
        return spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=inside)


def _is_library() -> bool:
    """Whether ``attention`` is this library, loaded or not."""
    loaded = sys.modules.get(OTHER)
    file = loaded.__file__ if loaded is not None else getattr(find_spec(OTHER), "origin", None)
    return file is not None and Path(file).resolve() == LIBRARY / "__init__.py"


def _become_the_library() -> None:
    """Let this name stand for the library's package."""
    shared = _is_library()
    sys.meta_path.insert(0, Finder(shared))
    if shared:
        sys.modules[__name__] = importlib.import_module(OTHER)
        return
    own = sys.modules[__name__]
    own.__path__ = [str(LIBRARY)]
    exec(RenamedFile(__name__, str(LIBRARY / "__init__.py")).get_code(__name__), own.__dict__)


_become_the_library()
