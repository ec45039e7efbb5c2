"""Where a service's files lie: a folder of this machine, or an S3-compatible store."""

from pathlib import Path

from attention.storage.base import Depot
from attention.storage.folder import Folder
from attention.storage.s3 import Bucket, check_url


def depot(root: Path, url: str | None) -> Depot:
    """The files of a service whose data folder is ``root``: there, or where a URL such as ``s3://bucket/files`` says.

    Raises:
        InvalidRequest: it is no such URL, or what it needs is not installed.
    """
    if url is None:
        return Folder(root)
    check_url(url)
    return Bucket(root / "copies", url)
