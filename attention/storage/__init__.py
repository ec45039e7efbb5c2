"""Where a service's files lie: a folder of this machine, or an S3-compatible store."""

from pathlib import Path

from attention.storage.base import FileStore
from attention.storage.folder import FolderStore
from attention.storage.s3 import S3Store, check_url


def open_file_store(root: Path, url: str | None) -> FileStore:
    """Open the store of files of a data folder: the folder itself, or the S3 store that a URL names.

    Raises:
        InvalidRequest: it is no such URL, or what it needs is not installed.
    """
    if url is None:
        return FolderStore(root)
    check_url(url)
    return S3Store(root / "copies", url)
