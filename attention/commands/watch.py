"""Find the gates of any model, your own among them, in one forward pass.

    attention-lab watch ./model.py:build --example 3,320,320
    attention-lab watch mypackage.models:build
    attention-lab watch timm:seresnet50 --format csv
    attention-lab watch resnet50/cbam

The function is called without arguments, in this process: it is your own code. `--gates` points at submodules whose
outputs are gates, whatever is found: --gates layer1.*.att.act=channel
"""

import argparse

from attention.analyses.gates import report
from attention.commands import data_options, report_options
from attention.commands.model_source import FORMS, load_model
from attention.errors import InvalidRequest
from attention.progress import ProgressLine
from attention.watch import watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `watch`: the model, its example input, and where to look for gates."""
    parser.add_argument("model", help=FORMS)
    parser.add_argument("--example", help="size of its input, such as 3,320,320; the model's own, or 3,224,224")
    parser.add_argument(
        "--gates", nargs="+", default=(), metavar="PATH=KIND", help="submodules whose outputs are gates"
    )
    data_options.add_lab_folder(parser)
    report_options.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Find the gates and print them; 1 if there is none."""
    pointed = {}
    for word in chosen.gates:
        path, separator, kind = word.partition("=")
        if not separator:
            raise InvalidRequest(f"--gates takes PATH=KIND, such as layer1.*.gate=channel, and {word!r} is none.")
        pointed[path] = kind
    with ProgressLine():
        model = load_model(chosen.model, chosen.folder.expanduser())
        watched = watch(model, _example(chosen.example), gates=pointed)
    report_options.give(report(watched, watched.model, {}), chosen)
    return 0 if watched.gates else 1


def _example(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidRequest(f"--example takes a size such as 3,320,320, and not {text!r}.") from None
