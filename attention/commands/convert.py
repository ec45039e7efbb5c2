"""Turn a checkpoint of other code into safetensors that networks here can load, and say which network it is.

    attention-lab convert eca_resnet50.pth.tar
    attention-lab convert run/last.ckpt --key state_dict_ema -o flowers.safetensors --labels classes.txt

Only tensors are read; nothing in the file is run. The new file, and a card that says what it was made of, come beside
the old one, or with ``--data`` among the checkpoints of a service, where ``weights=file:NAME`` names it.
"""

import argparse
from pathlib import Path

from attention.build import skeleton
from attention.errors import InvalidRequest
from attention.progress import ProgressLine
from attention.reports.parts.checkpoints import Conversion
from attention.weights.convert import convert, write_card
from attention.weights.find import Source
from attention.weights.proposals import propose


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `convert`: the checkpoint, and how it is read."""
    parser.add_argument("file", type=Path, help="a file that torch or safetensors wrote: .pth, .pt, .ckpt, .tar, ...")
    parser.add_argument(
        "-o", "--out", metavar="FILE", help="name of the new file; by default the old one's, with another ending"
    )
    parser.add_argument("--key", help="which entry holds the weights, such as state_dict or model_ema")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", help="replace a part of names; may be repeated"
    )
    parser.add_argument("--labels", type=Path, help="a text file with the name of a class on each line, in their order")
    parser.add_argument("--data", type=Path, help="a service's data folder (ATTENTION_DATA) to put it into")


def run(chosen: argparse.Namespace) -> None:
    """Convert the file that the command line names; print what was taken and what it fits."""
    pairs = [tuple(pair.partition("=")[::2]) for pair in chosen.rename]
    if bad := [pair for pair in chosen.rename if not pair.partition("=")[0] or "=" not in pair]:
        raise InvalidRequest(f"--rename {bad[0]!r} is not OLD=NEW.")
    labels = chosen.labels.read_text(encoding="utf-8").split("\n") if chosen.labels else []
    with ProgressLine() as line:
        path, card = convert(
            chosen.file.expanduser(),
            _target(chosen),
            key=chosen.key,
            rename=pairs,
            labels=[label.strip() for label in labels if label.strip()],
        )
        line(0, 0, "looking for a network that it fits")
        variant = propose(Source(path, f"file:{path.stem}"), skeleton)
    card = card.model_copy(update={"variant": variant})
    write_card(path, card)
    print("\n".join(_told(path, card)), flush=True)


def _target(chosen: argparse.Namespace) -> Path | None:
    """The new file as the command line says it; None is beside the old one."""
    if chosen.data is None:
        return Path(chosen.out).expanduser() if chosen.out else None
    folder = chosen.data.expanduser() / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(chosen.out or chosen.file.name.partition(".")[0]).name.removesuffix(".safetensors")
    return folder / f"{name}.safetensors"


def _told(path: Path, card: Conversion) -> list[str]:
    """What was done, a line each."""
    lines = [f"{path}: {card.tensors:,} tensors, {card.parameters:,} numbers, and a card beside it."]
    if card.key:
        lines.append(f"Taken was {card.key!r}." + (f" There is also {', '.join(card.others)}." if card.others else ""))
    if card.prefix:
        lines.append(f"Left out was {card.prefix!r} before all names.")
    if card.left_out:
        lines.append(f"Left out, being no tensors of floats: {', '.join(card.left_out[:10])}.")
    if card.variant is None:
        lines.append("No network here fits it in every tensor; it can be used where such a network is.")
    else:
        named = card.variant.model_copy(update={"weights": f"file:{path.stem}"})
        lines.append(f"It fits {card.variant.name}. Ask for {named.name}.")
    return lines
