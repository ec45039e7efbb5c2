"""Fetch published networks, or an image data set, from the Hugging Face hub, once.

    attention-lab fetch networks --format csv     which networks there are, with size, licence and accuracy
    attention-lab fetch quartet                   a group of networks, or one: seresnet50.a1_in1k
    attention-lab fetch uoft-cs/cifar10           a data set, for studies to name

Networks come into ``<data folder>/hub``, where ``weights=hub:timm/NAME`` finds them without a network from then on. A
data set's parquet files come into ``<data folder>/datasets/NAME``; nothing else of the repository is fetched, and none
of it is run. The client library comes with the service; alone: ``pip install 'attention-lab[hub]'``.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from attention.analyses.fetch import Download, fetch_networks
from attention.commands import data_options, report_options
from attention.data.files import Files
from attention.data.folder import DataFolder, data_set_name
from attention.errors import AttentionError, BadData, InvalidRequest, first_line
from attention.storage.folder import FolderStore
from attention.weights.find import Checkpoints
from attention.weights.hub import hub_client, unreachable
from attention.weights.hub_networks import GROUPS, NETWORKS, RECIPES, HubNetwork, find_networks


class Client(Protocol):
    """Protocol of the hub's client, with the two functions that fetching uses."""

    def list_repo_files(self, repo_id: str, *, repo_type: str, revision: str | None) -> Sequence[str]:
        """Paths of all files of a repository."""

    def hf_hub_download(
        self, repo_id: str, filename: str, *, repo_type: str, revision: str | None, local_dir: Path
    ) -> str:
        """Fetch a file of a repository; gives its path on this machine."""


def fetch(
    client: Client,
    repository: str,
    root: Path,
    *,
    name: str | None = None,
    revision: str | None = None,
    away: str | None = None,
) -> Path:
    """Fetch a data set's parquet files into the data folder; gives the folder it is in.

    Args:
        away: why the hub cannot be reached, if that is known.

    Raises:
        InvalidRequest: the repository's name is none, or the data set's name is taken.
        BadData: the repository has no parquet files, or cannot be read.
    """
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository):
        raise InvalidRequest(f"{repository!r} is no repository of the hub. Write owner/name, such as uoft-cs/cifar10.")
    called = data_set_name(name or repository.partition("/")[2])
    folder = DataFolder(FolderStore(root))
    folder.check_free(called)
    coming, final = folder.folder / f".{called}.part", folder.folder / called
    try:
        if away:
            raise OSError(away)
        files = client.list_repo_files(repository, repo_type="dataset", revision=revision)
        tables = sorted(file for file in files if file.endswith(".parquet"))
        if not tables:
            raise BadData(f"{repository} has no parquet files, and nothing else of a data set on the hub is read.")
        for file in tables:  # what an earlier try fetched whole is not fetched again
            print(f"fetching {file}", flush=True)
            client.hf_hub_download(repository, file, repo_type="dataset", revision=revision, local_dir=coming)
    except AttentionError:
        raise
    except Exception as error:  # the hub's client raises errors of its own, of its HTTP library and of the system
        raise BadData(
            f"{repository} cannot be fetched: {first_line(error)}. Without the hub, a data set comes as a folder, "
            f"zip or tar: put it at {folder.folder / called}, or say: attention-lab data add FILE; or "
            "send it: POST /v1/datasets."
        ) from error
    shutil.rmtree(coming / ".cache", ignore_errors=True)
    coming.rename(final)
    return final


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `fetch`: the repository or networks, and the folder they go to."""
    parser.add_argument("name_or_repository", help="networks, a network, a group of them, or a data set's owner/name")
    parser.add_argument("--name", help="what to call it; by default the repository's name")
    parser.add_argument("--revision", help="branch, tag or commit")
    data_options.add_folder(parser)
    report_options.add_arguments(parser)


def run(chosen: argparse.Namespace) -> None:
    """Fetch what the command line names."""
    name, root = chosen.name_or_repository, chosen.data.expanduser()
    if name == "networks":
        give_networks(chosen)
        return
    report_options.check_plain(chosen, "attention-lab fetch networks")
    if "/" not in name or name in {network.repository for network in NETWORKS.values()}:
        bring(find_networks(name), Files(root).checkpoints)
    else:
        client = hub_client()
        away = unreachable(client.constants.ENDPOINT)
        folder = fetch(client, name, root, name=chosen.name, revision=chosen.revision, away=away)
        print(f"A study can name it now: {folder.name}", flush=True)


def bring(networks: Sequence[HubNetwork], checkpoints: Checkpoints) -> None:
    """Fetch published networks and print what to ask for.

    Raises:
        BadCheckpoint: one cannot be fetched, or does not fit.
        StorageFailed: the disk has no room.
    """
    for network in networks:
        print(f"fetching {network.repository}: about {network.megabytes:.0f} MB, {network.licence}", flush=True)
    for report in fetch_networks(networks, checkpoints, _show):
        print(f"  {report.tensors} tensors. Ask for {report.name}", flush=True)


def _show(download: Download) -> None:
    """Print the progress of a download if standard error is a terminal."""
    if sys.stderr.isatty():
        print(f"\r  {download}  ", end="", file=sys.stderr, flush=True)


def give_networks(chosen: argparse.Namespace) -> None:
    """Give the table of networks that can be fetched."""
    groups = [
        f"{name} ({group.title}; {sum(network.megabytes for network in group.networks):.0f} MB)"
        for name, group in GROUPS.items()
    ]
    caption = f"Published networks; top1 is their accuracy in per cent. Groups: {', '.join(groups)}."
    columns = ("name", "group", "megabytes", "licence", "top1", "test_size", "variant", "recipe")
    rows = [
        (
            network.name,
            "; ".join(name for name, group in GROUPS.items() if network.name in group.names),
            round(network.megabytes),
            network.licence,
            network.top1,
            network.test_size,
            network.variant,
            RECIPES[network.recipe],
        )
        for network in NETWORKS.values()
    ]
    report_options.give_list("networks", caption, columns, rows, chosen)
