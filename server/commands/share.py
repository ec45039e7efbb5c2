"""Share what is stored with every API key, in the name of its owners: what was kept before there were owners, too.

attention-lab share datasets --format csv    what there is, and what is shared
attention-lab share datasets flowers         every key may see and use it
attention-lab share datasets flowers --off   its owners alone again
attention-lab share checkpoints --all
"""

import argparse
from collections.abc import Collection

from attention.commands import report_options
from attention.data.files import Files
from server.__main__ import read_settings
from server.store import Store
from server.stored.kinds import StoredKind
from server.stored.shelf import Shelf


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kind, what is shared, and whether it is."""
    parser.add_argument("kind", choices=("images", "datasets", "checkpoints", "jobs", "reports"))
    parser.add_argument("ids", nargs="*", metavar="ID", help="ids or names; without any, what is there is listed")
    parser.add_argument("--all", action="store_true", help="everything of this kind")
    parser.add_argument("--off", action="store_true", help="share it no longer")
    report_options.add_arguments(parser)


def run(chosen: argparse.Namespace) -> None:
    """Share what the command line names, or list it."""
    settings = read_settings()
    store = Store(settings.database_url)
    try:
        shelf = Shelf(settings, Files(settings.folder, settings.files), store)
        kind = _kind(shelf, chosen.kind)
        if chosen.ids or chosen.all:
            report_options.check_plain(chosen, f"attention-lab share {chosen.kind}")
            _share(kind, chosen)
        else:
            _list(kind, store.owners.shared(kind.name), chosen)
    finally:
        store.close()


def _kind(shelf: Shelf, address: str) -> StoredKind:
    kinds = {"images": shelf.photos, "datasets": shelf.data_sets, "checkpoints": shelf.checkpoints}
    return {**kinds, "jobs": shelf.jobs, "reports": shelf.answers}[address]


def _share(kind: StoredKind, chosen: argparse.Namespace) -> None:
    names = [thing.name for thing in kind.things()] if chosen.all else chosen.ids
    for name in names:
        kind.share(name, not chosen.off)
    print(f"{len(names)} {kind.name}: {'their owners alone' if chosen.off else 'every key'} may use them now.")


def _list(kind: StoredKind, shared: Collection[str], chosen: argparse.Namespace) -> None:
    rows = [(thing.name, thing.bytes, thing.name in shared) for thing in kind.things()]
    caption = f"What is stored: {chosen.kind}, and whether every key may use them."
    report_options.give_list(chosen.kind, caption, ("name", "bytes", "shared"), rows, chosen)
