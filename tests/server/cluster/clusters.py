"""A Ray cluster of two nodes on this machine, for the tests that need one: its own, and gone afterwards."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import pytest

CPUS = 2
"""What each node says it has; nothing but Ray's own bookkeeping goes by it."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes: the head, of which the test's process is a part, and one that may be killed."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install '.[scale]'")
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # short, for a socket's name is at most 107 characters long
    ours = {
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # or Ray would leave one in the home folder
        "OMP_NUM_THREADS": "1",
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ |= ours
    import ray  # now, for it reads the environment once
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    try:
        nodes.add_node(num_cpus=CPUS, temp_dir=f"{folder}/ray", include_dashboard=False)
        nodes.add_node(num_cpus=CPUS)
        ray.init(address=nodes.address, namespace="attention", log_to_driver=False, configure_logging=False)
        yield nodes
    finally:
        from ray import serve

        with suppress(Exception):  # of a cluster that a test has broken, or that never came up
            serve.shutdown()
        ray.shutdown()
        nodes.shutdown()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        shutil.rmtree(folder, ignore_errors=True)
