"""List, look into, add, rename and remove the data sets of a data folder.

    attention-lab data list --format csv
    attention-lab data show flowers.zip --split a=train,b=test     what it is; nothing is kept
    attention-lab data add flowers.zip --skip-bad
    attention-lab data rename flowers roses
    attention-lab data remove roses

A service that runs on the data folder sees what changes; what its running jobs need is removed over REST instead, which
knows of them: DELETE /v1/datasets/NAME.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from attention.commands import data_options, report_options
from attention.data.folder import DataFolder, data_set_name
from attention.data.intake.inventory import take_inventory
from attention.errors import InvalidRequest, NotFound
from attention.progress import ProgressLine
from attention.reports.parts.inventory import Inventory
from attention.storage.folder import FolderStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `data`: what is done, and with which data set."""
    data_options.add_folder(parser)
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="names of the data sets, with what is known of them")
    show = actions.add_parser("show", help="the inventory of a file or folder, or of a data set by name")
    add = actions.add_parser("add", help="keep a zip or tar as a data set")
    for action in (show, add):
        action.add_argument("source", help="a path; to show, the name of a data set too")
        data_options.add_choices(action)
    for action in (listing, show):
        report_options.add_arguments(action)
    add.add_argument("--name", help="what to call it; by default as its file")
    add.add_argument("--replace", action="store_true", help="take the place of the data set of that name")
    rename = actions.add_parser("rename", help="give a data set another name")
    rename.add_argument("name")
    rename.add_argument("new_name")
    actions.add_parser("remove", help="delete a data set").add_argument("name")


def run(chosen: argparse.Namespace) -> None:
    """List, show, add, rename or remove data sets, as the command line says."""
    folder = DataFolder(FolderStore(chosen.data.expanduser()))
    match chosen.action:
        case "list":
            rows = [(data_set.name, data_set.kind, data_set.images, data_set.bytes) for data_set in folder.all()]
            caption = f"Data sets of {folder.folder}; images where they were counted."
            report_options.give_list("data_sets", caption, ("name", "kind", "images", "bytes"), rows, chosen)
        case "show":
            _show(_inventory(folder, chosen), chosen)
        case "add":
            print(_added(folder, chosen))
        case "rename":
            print(f"A study can name it now: {folder.rename(chosen.name, data_set_name(chosen.new_name)).name}")
        case _:
            folder.remove(chosen.name)


def _show(inventory: Inventory, chosen: argparse.Namespace) -> None:
    if chosen.format == "text" and not chosen.table:
        report_options.give_text(inventory.text(), chosen)
    else:
        report_options.give(inventory, chosen)


def _inventory(folder: DataFolder, chosen: argparse.Namespace) -> Inventory:
    path = Path(chosen.source)
    with ProgressLine() as line:
        if path.exists():
            return take_inventory(path, data_options.choices(chosen), line).inventory
        return folder.intake(chosen.source, line).inventory


def _added(folder: DataFolder, chosen: argparse.Namespace) -> str:
    source = Path(chosen.source)
    if source.is_dir():
        raise InvalidRequest(
            f"{chosen.source} is a folder: copy it into {folder.folder} as it is, or pack it as a zip."
        )
    if not source.is_file():
        raise NotFound(f"There is no file {chosen.source}.")
    name = data_set_name(chosen.name or source.name)
    if not chosen.replace:
        folder.check_free(name)
    folder.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.folder, prefix=".", suffix=".part") as place:
        copy = Path(place, source.name)
        shutil.copyfile(source, copy)
        with ProgressLine() as line:
            listed = folder.adopt(copy, name, data_options.choices(chosen), replaces=chosen.replace, on_image=line)
    text = listed.inventory.text() if listed.inventory else ""
    return f"{text}\nA study can name it now: {listed.name}"
