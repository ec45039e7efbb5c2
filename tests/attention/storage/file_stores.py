"""Where files can lie, for tests that hold for all of it: a folder, a store in memory, and one that speaks S3."""

import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from attention.data.files import Files

Nodes = Callable[[str], Files]
"""The files as a machine of some name sees them."""


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a bucket on an S3 server of this process."""
    for name in ("s3fs", "moto", "flask"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install s3fs 'moto[server]'")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        patched.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "something")
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="attention-tests")
        yield "s3://attention-tests"
    server.stop()


STORES = ("memory", pytest.param("s3", marks=pytest.mark.slow))


@pytest.fixture(params=["folder", *STORES])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where files lie that nobody has used yet; None is a folder."""
    if request.param == "folder":
        return None
    return _unused(request)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    """The URL of a store that nobody has used yet."""
    return _unused(request)


def _unused(request: pytest.FixtureRequest) -> str:
    top: str = request.getfixturevalue("s3") if request.param == "s3" else "memory://tests"
    return f"{top}/{uuid.uuid4().hex}"


@pytest.fixture
def nodes(url: str | None, tmp_path: Path) -> Nodes:
    """Machines that share files: the folder itself, or a store of which each has copies in a folder of its own."""
    return lambda name: Files(tmp_path if url is None else tmp_path / name, url)
