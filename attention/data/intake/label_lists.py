"""Classes that stand in a list beside the photos: CSV, TSV or JSON lines with a file and a class in each row."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from attention.data.intake.name_encodings import guess_encoding
from attention.data.intake.split_words import split_word
from attention.errors import BadData
from attention.reports.parts.inventory import Split

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
MAX_LIST_BYTES = 64_000_000
LABEL_COLUMNS = (
    *("label", "class", "category", "target", "labels", "class_name", "label_name", "species", "breed", "diagnosis"),
    *("y", "classname", "finding", "type", "dx", "classid", "class_id", "label_id", "class_index"),
)
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold", "usage")
NAMELESS = "column "
"""What columns of a table without a header are called, with their number behind."""

NUMBER = re.compile(r"[-+.\d]*")
LEAST_SHARE = 0.5
"""A column names files if this share of its values are files, or of the files are in it."""


@dataclass(frozen=True)
class Listing:
    """What a list says of one file: its class, empty if it says none, and its split if there is one."""

    label: str
    split: Split | None = None


@dataclass(frozen=True)
class LabelList:
    """What a list says of photos, in which encoding it was read, and which files it names that are no photos here."""

    listings: Mapping[str, Listing]
    encoding: str = "utf-8"
    absent: Sequence[str] = ()


def is_list(path: str) -> bool:
    """Whether a file may be a list of labels, by its name; what is to be filled in by a contestant is none."""
    name = PurePosixPath(path.lower())
    return name.suffix in SUFFIXES and "submission" not in name.stem


def read_list(path: str, content: bytes, photos: Sequence[str], encoding: str | None = None) -> LabelList:
    """What a list says of photos; empty if it is no list of them.

    Args:
        path: where the list lies; names in it may be relative to its folder.
        photos: paths of the photos.
        encoding: of the list, where it is not UTF-8; as it looks if None.
    """
    text, encoding = _text(content, encoding)
    rows = _rows(path, text)
    if not rows or (len(rows) < 2 <= len(photos)):  # one row beside many photos describes one photo, as YOLO's do
        return LabelList({})
    photos_by_name = _by_name(photos, str(PurePosixPath(path).parent))
    columns = list(rows[0])

    def photo_of(row: Mapping[str, str], column: str) -> str | None:
        return photos_by_name.get(row.get(column, "").replace("\\", "/"))  # as Windows writes paths

    shares = {column: sum(photo_of(row, column) is not None for row in rows) for column in columns}
    file_column = max(columns, key=lambda column: (shares[column], len({row.get(column) for row in rows})))
    if shares[file_column] < LEAST_SHARE * min(len(rows), len(photos)):
        return LabelList({})
    others = [column for column in columns if column != file_column]
    splits = next((column for column in others if column.strip().lower() in SPLIT_COLUMNS), None)
    file_split = split_word(PurePosixPath(path).stem)
    listings: dict[str, Listing] = {}
    for row in rows:
        label = _label(row, [column for column in others if column != splits])
        photo = photo_of(row, file_column)
        word = split_word(row[splits]) if splits and row.get(splits) else file_split
        if photo is not None and (label or word):
            listings[photo] = Listing(label, word[0] if word else None)
    absent = [name for row in rows if photo_of(row, file_column) is None and (name := row.get(file_column))]
    return LabelList(listings, encoding, absent)


def _text(content: bytes, encoding: str | None) -> tuple[str, str]:
    """A list as text, and the encoding it was in."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace"), "utf-16"
    try:
        return content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        encoding = encoding or guess_encoding(content.splitlines())
        return content.decode(encoding, "replace"), encoding


def _rows(path: str, text: str) -> list[dict[str, str]]:
    """The rows of a list as column -> text."""
    try:
        if path.lower().endswith((".jsonl", ".ndjson", ".json")):
            return _json_rows(text)
        return _table_rows(text)
    except (ValueError, csv.Error, RecursionError) as error:
        raise BadData(f"The list {path} cannot be read ({str(error)[:100]}).") from None


def _json_rows(text: str) -> list[dict[str, str]]:
    """Objects a line, a list of them, or one object of file -> class."""
    stripped = text.strip()
    if stripped.startswith("["):
        values = json.loads(stripped)
    elif "\n" not in stripped or stripped.startswith("{\n"):
        whole = json.loads(stripped or "{}")
        simple = all(isinstance(value, (str, int)) for value in whole.values())
        values = [{"file": name, "label": value} for name, value in whole.items()] if simple else []
    else:
        values = [json.loads(line) for line in stripped.splitlines() if line.strip()]
    return [
        {str(key): str(value) for key, value in row.items() if isinstance(value, (str, int, float))}
        for row in values
        if isinstance(row, Mapping)
    ]


def _table_rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV, with numbers for columns where its first row is no header."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return []
    counts = {sign: min(line.count(sign) for line in lines[:20]) for sign in ",;\t "}
    delimiter = max(counts, key=lambda sign: (bool(counts[sign] and sign.strip(" ")), counts[sign], sign == ","))
    table = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)]
    width = len(table[0])
    header = [cell or f"{NAMELESS}{n}" for n, cell in enumerate(table[0])]
    named = any(cell.lower() in (*LABEL_COLUMNS, *SPLIT_COLUMNS) for cell in header) or not any(
        "." in cell or "/" in cell or cell.isdigit() for cell in header
    )
    body = table[1:] if named else table
    names = header if named else [f"{NAMELESS}{number}" for number in range(width)]
    return [dict(zip(names, row, strict=False)) for row in body if row]


def _by_name(photos: Iterable[str], folder: str) -> dict[str, str]:
    """Every way that a list may name a photo -> its path; ways that lead to two photos are left out."""
    names: dict[str, set[str]] = {}
    for photo in photos:
        path = PurePosixPath(photo)
        ways = {"/".join(path.parts[start:]) for start in range(len(path.parts))}
        if folder != "." and photo.startswith(f"{folder}/"):
            ways.add(photo.removeprefix(f"{folder}/"))
        ways |= {way.removesuffix(path.suffix) for way in ways}
        for way in (*ways, *(f"./{way}" for way in ways)):
            names.setdefault(way, set()).add(photo)
    return {way: next(iter(candidates)) for way, candidates in names.items() if len(candidates) == 1}


def _label(row: Mapping[str, str], columns: Sequence[str]) -> str:
    """The class in a row: by the name of a column, the only other column, or the only 1 among zeros."""
    by_name = {column.strip().lower(): column for column in columns}
    column = next((by_name[name] for name in LABEL_COLUMNS if name in by_name), None)
    if column is not None:
        return row.get(column, "")
    values = {column: row.get(column, "") for column in columns}
    if len(values) == 1 or all(name.startswith(NAMELESS) for name in values):
        return next(
            (value for value in values.values() if not NUMBER.fullmatch(value)), next(iter(values.values()), "")
        )
    hot = [column for column, value in values.items() if value in ("1", "1.0")]
    cold = [column for column, value in values.items() if value in ("0", "0.0")]
    return hot[0] if len(hot) == 1 and len(hot) + len(cold) == len(values) else ""
