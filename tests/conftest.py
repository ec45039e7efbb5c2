"""What every test shares: one thread of torch, so that two cores are enough for the tests and what else runs."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
