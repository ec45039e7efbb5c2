"""Pages of a list: ``limit`` things after the one that the page before ended with, and a link to the next page.

What ``after`` holds is the place of that thing in the order of the list, not its number. So nothing is left out or
repeated when things come and go between two pages.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from attention.errors import InvalidRequest

T = TypeVar("T")

Moment = tuple[datetime, str]
"""Place in a list that has the newest first: when a thing was stored, and its id."""

LINK: dict[str, Any] = {
    "Link": {
        "description": "The next page, with rel=next; absent on the last one.",
        "schema": {"type": "string"},
    }
}
"""The header that leads from page to page, in the words of OpenAPI."""


class Page:
    """One page of a list, as it was asked for."""

    def __init__(self, http: HTTPRequest, response: Response, limit: int, after: str | None) -> None:
        self._http = http
        self._response = response
        self._limit = limit
        self._after = None if after is None else _read(after)

    def by_name(self, things: Iterable[T], name: Callable[[T], str]) -> tuple[T, ...]:
        """The things of a list by name, which is known as a whole, that are on this page."""
        after = self._place(1)
        rest = [thing for thing in things if after is None or name(thing) > after[0]]
        return self._cut(rest, lambda thing: (name(thing),))

    def newest(
        self, fetch: Callable[[int, Moment | None], Sequence[T]], place: Callable[[T], tuple[datetime | None, str]]
    ) -> tuple[T, ...]:
        """The things of a list that has the newest first, that are on this page.

        Args:
            fetch: gives so many things after a place.
            place: where a thing is; what has no time comes before all that has one.
        """
        after = self._place(2)
        things = fetch(self._limit + 1, None if after is None else (_moment(after[0]), after[1]))
        return self._cut(things, lambda thing: ((place(thing)[0] or BEFORE_ALL).isoformat(), place(thing)[1]))

    def _place(self, parts: int) -> list[str] | None:
        if self._after is not None and len(self._after) != parts:
            raise _not_a_place()
        return self._after

    def _cut(self, things: Sequence[T], place: Callable[[T], tuple[str, ...]]) -> tuple[T, ...]:
        shown = tuple(things[: self._limit])
        if len(things) > self._limit:
            after = urlsafe_b64encode(json.dumps(place(shown[-1])).encode()).decode().rstrip("=")
            query = urlencode({**self._http.query_params, "limit": self._limit, "after": after})
            self._response.headers["Link"] = f'<{self._http.url.path}?{query}>; rel="next"'
        return shown


BEFORE_ALL = datetime.max.replace(tzinfo=UTC)
"""Newer than anything that is stored."""


async def _page(
    http: HTTPRequest,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    after: Annotated[
        str | None, Query(max_length=2000, description="Where the page before ended, as its Link says.")
    ] = None,
) -> Page:
    return Page(http, response, limit, after)


Paged = Annotated[Page, Depends(_page)]
"""A page of a list, as a route's parameter."""


def _read(after: str) -> list[str]:
    try:
        place = json.loads(urlsafe_b64decode(after + "=" * (-len(after) % 4)))
    except (ValueError, RecursionError):
        raise _not_a_place() from None
    if not isinstance(place, list) or not all(isinstance(part, str) for part in place):
        raise _not_a_place()
    return place


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _not_a_place() from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _not_a_place() -> InvalidRequest:
    return InvalidRequest("The parameter 'after' is no place in this list. Follow the Link header of the page before.")
