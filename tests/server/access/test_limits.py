"""Limits of a key: so many requests at once, and so many jobs that wait or run."""

import pytest
from starlette.exceptions import HTTPException

from server.access.limits import Account, account, on_account
from server.settings import Settings


def test_requests_in_flight_are_counted_until_they_end() -> None:
    lab = Account("lab", Settings(key_in_flight=2))
    lab.enter()
    lab.enter()
    with pytest.raises(HTTPException) as refused:
        lab.enter()
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
    lab.leave()
    lab.enter()
    assert lab.refused == {"in_flight": 1, "jobs": 0}


def test_those_without_a_key_have_no_limits() -> None:
    free = Account("", Settings(key_in_flight=1))
    for _ in range(100):
        free.enter()
    assert free.refused == {"in_flight": 0, "jobs": 0}


def test_work_belongs_to_the_account_of_its_request_and_to_none_afterwards() -> None:
    lab = Account("lab", Settings())
    with on_account(lab):
        assert account() is lab
    assert account() is None
