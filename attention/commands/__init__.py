"""The verbs of the command line, one file a verb: ``attention-lab VERB``.

A verb is a module of this folder, its name without an underscore, with ``add_arguments(parser)`` and ``run(chosen)``.
The first line of its docstring is its help. Other packages add theirs as entry points of the group `GROUP` that name
such a module. Only the verb that was asked for is imported.
"""

import argparse
import ast
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from attention.errors import AttentionError

GROUP = "attention_lab.commands"


def verbs() -> Mapping[str, str]:
    """Names of the verbs, each with the module that carries it out."""
    names = [file.stem for file in Path(__file__).parent.glob("[a-z]*.py") if "_" not in file.stem]
    shipped = {name: f"{__name__}.{name}" for name in names}
    added = {point.name: point.module for point in entry_points(group=GROUP)}
    return dict(sorted({**added, **shipped}.items()))


@contextmanager
def may_be_cut_short() -> Iterator[None]:
    """Let what reads a command's output stop reading, as in ``command | head``, and the command then end quietly.

    Raises:
        SystemExit: nobody reads the output any more.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        sys.exit(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the verb that the command line names; the exit code is 0, 1 or, after a sentence on what to mend, 2."""
    with may_be_cut_short():
        return _carry_out(arguments)


def _carry_out(arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    modules = verbs()
    if not words or words[0] not in modules:
        return _usage(words, modules)
    module = import_module(modules[words[0]])
    parser = argparse.ArgumentParser(
        prog=f"attention-lab {words[0]}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    chosen = parser.parse_args(words[1:])
    return exit_code(lambda: module.run(chosen))


def exit_code(work: Callable[[], int | None]) -> int:
    """Do a command's work: its own exit code or 0 if it went well, 2 after a sentence on stderr, 130 if stopped."""
    try:
        return work() or 0
    except KeyboardInterrupt:
        return 130
    except AttentionError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:  # no file that the command line named
            raise
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
        return 2


def _usage(words: Sequence[str], modules: Mapping[str, str]) -> int:
    """Say which verbs there are: on standard output where that was asked for, else on standard error."""
    help_wanted = words[:1] in (["-h"], ["--help"], ["help"])
    lines = [f"  {verb:<{max(map(len, modules))}}  {_first_line(module)}" for verb, module in modules.items()]
    wrong = [f"There is no verb {words[0]!r}."] if words and not help_wanted else []
    text = [*wrong, "usage: attention-lab VERB [options]; attention-lab VERB --help tells more", "", *lines]
    print("\n".join(text), file=sys.stdout if help_wanted else sys.stderr)
    return 0 if help_wanted else 2


def _first_line(module: str) -> str:
    """First line of a module's docstring, without importing the module."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return "is not installed"
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or "").partition("\n")[0]
