"""What a question names, however deep inside: networks, photos, data sets; and what to call it in a list."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from attention.data.files import IMAGE
from attention.errors import listing
from attention.reports.parts.grid import Grid
from attention.spec import Pictures, Plain, Request, Variant

TITLE_LETTERS = 200


PHOTO_FIELDS = ("image", "images")
"""Fields of questions that hold ids of photos; fingerprints of data sets have the same form."""


def variants(value: object) -> Iterator[Variant]:
    """Every variant that plain data names."""
    match value:
        case Variant():
            yield value
        case Grid():
            yield from value.variants()
        case Plain():
            for field in type(value).model_fields:
                yield from variants(getattr(value, field))
        case Mapping():
            for inside in value.values():
                yield from variants(inside)
        case list() | tuple():
            for item in value:
                yield from variants(item)


def images(value: object) -> int:
    """How many images plain data names at most: photos one by one, data sets up to the limit of their draw."""
    match value:
        case Pictures():
            return len(value.images) or value.limit
        case Variant():
            return 0
        case Plain():
            return sum(_images_in(field, getattr(value, field)) for field in type(value).model_fields)
        case Mapping():
            return sum(map(images, value.values()))
        case list() | tuple():
            return sum(map(images, value))
    return 0


def _images_in(field: str, inside: object) -> int:
    """How many images one field names at most; ids of photos are in fields called ``image`` and ``images``."""
    if field == "image":
        return int(inside is not None)
    return len(inside) if field == "images" and isinstance(inside, tuple) else images(inside)


def texts(question: Any, place: str = "", field: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text in a question as JSON: its place, such as ``images[2]``, the name of that field, and the text."""
    if isinstance(question, dict):
        for key, value in question.items():
            yield from texts(value, f"{place}.{key}".removeprefix("."), key)
    elif isinstance(question, list | tuple):
        for number, value in enumerate(question):
            yield from texts(value, f"{place}[{number}]", field)
    elif isinstance(question, str):
        yield place, field, question


def photos(question: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of photos in a question, as JSON gives it, each once."""
    return tuple(dict.fromkeys(text for _, field, text in texts(question) if names_photo(field, text)))


def names_photo(field: str, text: str) -> bool:
    """Whether a text in a field of a question is the id of a photo."""
    return field in PHOTO_FIELDS and IMAGE.fullmatch(text) is not None


def data_sets(value: object) -> Iterator[str]:
    """The name of every data set that plain data names, in a field called ``data``."""
    match value:
        case Variant():
            return
        case Plain():
            for field in type(value).model_fields:
                inside = getattr(value, field)
                if field == "data" and isinstance(inside, str):
                    yield inside
                else:
                    yield from data_sets(inside)
        case list() | tuple():
            for item in value:
                yield from data_sets(item)


def title(question: Request[Plain]) -> str:
    """A question in a line: its networks, how many photos, its data sets, and else what differs from the defaults."""
    said = question.model_dump(mode="json")
    names = list(dict.fromkeys(_short(variant) for variant in variants(question)))
    parts = []
    if names:
        parts.append(listing(names))
    if count := len(photos(said)):
        parts.append(f"{count} photo{'s' if count > 1 else ''}")
    parts += dict.fromkeys(data_sets(question))
    for field, value in question.model_dump(mode="json", exclude_defaults=True).items():
        if isinstance(value, bool | int | float | str) and value not in parts:
            parts.append(f"{field} {value}")
    text = " · ".join(parts) or "as it is by default"
    return text if len(text) <= TITLE_LETTERS else f"{text[: TITLE_LETTERS - 1]}…"


@lru_cache(maxsize=1024)
def _short(variant: Variant) -> str:
    """A variant as most people write it: a shipped network by its module alone."""
    short = variant.attention or "none"
    return short if Variant.parse(short) == variant else variant.name
