"""Write a trained network as ONNX, as a program of torch.export, or as safetensors with a card, and check the file.

    attention-lab export eca -o eca.onnx
    attention-lab export 'resnet50/eca(kernel_size=released)?weights=file:eca_resnet50' -o eca.pt2 --size 224
    attention-lab export 'resnet20/se?weights=file:mine' -o mine --hub owner/name --licence apache-2.0

The ending of the file says the format; a name without an ending is a folder laid out as the hub has it. What was
written is read again and held against torch on noise; the largest difference is printed and written on the card.
"""

import argparse
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from attention.build import build
from attention.commands import data_options
from attention.data.files import Files
from attention.errors import InvalidRequest
from attention.names import Size, height_and_width
from attention.network import describe
from attention.progress import ProgressLine
from attention.reports.export import ExportCard
from attention.running.export import FORMATS, About, export
from attention.running.hub_layout import check_repository, push, save_pretrained
from attention.spec import Variant
from attention.weights.hub import hub_client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `export`: the network, and the file it is written to."""
    parser.add_argument("network", help="its short name, with the weights: eca, or 'resnet20/eca?weights=shipped'")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"a file ({', '.join(FORMATS)}), or a folder in the hub's layout",
    )
    parser.add_argument("--size", type=_size, help="side of the input, or HEIGHTxWIDTH; by default the network's own")
    parser.add_argument("--hub", metavar="OWNER/NAME", help="send the folder there, with the token of 'hf auth login'")
    parser.add_argument("--public", action="store_true", help="the repository on the hub is for everybody to see")
    parser.add_argument("--licence", help="licence of the weights, as the hub spells it")
    data_options.add_folder(parser)


def run(chosen: argparse.Namespace) -> None:
    """Export the network that the command line names; print how it was checked."""
    if chosen.hub and chosen.out.suffix:
        raise InvalidRequest("The hub takes a folder: give a name without an ending.")
    if chosen.hub:
        check_repository(chosen.hub)
    checkpoints = Files(chosen.data.expanduser(), any_path=True).checkpoints
    network = describe(Variant.parse(chosen.network), checkpoints)
    about = About(network.variant, network.preprocess, network.labels)
    model, out = build(network.variant, checkpoints), chosen.out.expanduser()
    size = chosen.size or network.preprocess.input_size
    with ProgressLine() as line:
        line(0, 0, f"writing {out.name}, and checking it")
        if out.suffix:
            card = export(model, out, size, about)
        else:
            card = save_pretrained(model, out, size, about, chosen.licence)
    print("\n".join(_told(card, out)), flush=True)
    if chosen.hub:
        sent = push(hub_client().HfApi(), out, chosen.hub, private=not chosen.public)
        print(f"Sent. Ask for weights={sent}.", flush=True)


def _told(card: ExportCard, out: Path) -> list[str]:
    """What was written and how it was checked, a line each."""
    height, width = height_and_width(card.size)
    free = [name for name, yes in (("batch", card.free_batch), ("size", card.free_size)) if yes]
    return [
        f"{out}: {card.parameters:,} parameters, input (B, 3, {height}, {width})"
        + (f", free {' and '.join(free)}." if free else ", of this size only."),
        f"Checked in {card.runtime}: outputs differ by at most {card.largest_difference:.1e} from torch "
        f"{card.torch} ({len(card.checks)} batches of noise).",
    ]


def _size(text: str) -> Size:
    try:
        return TypeAdapter[Size](Size).validate_python(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
