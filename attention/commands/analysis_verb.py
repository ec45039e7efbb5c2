"""AnalysisVerb: a verb of the command line that asks an analysis; its options are the fields of the request.

A verb's file is its help and two lines:

    verb = AnalysisVerb(CompareRequest)
    add_arguments, run = verb.add_arguments, verb.run
"""

import argparse
import json
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from attention.analyses import question
from attention.commands import data_options, report_options
from attention.data.files import IMAGE, samples
from attention.data.folder import DataFolder
from attention.errors import InvalidRequest
from attention.lab import Lab
from attention.progress import ProgressLine
from attention.reports.writing.tables import Report
from attention.spec import Pictures, Request

NETWORKS = ("variants", "variant")
PHOTOS = ("images", "image", "pictures", "photos")
"""Fields that the words of the command line fill: what is an image file or a sample is a photo, the rest networks."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".avif")


class AnalysisVerb:
    """A verb that asks one analysis in this process.

    Args:
        request: the class of its question.
    """

    def __init__(self, request: type[Request[Any]]) -> None:
        self._request = request
        fields = request.model_fields
        self._networks = next((name for name in NETWORKS if name in fields), None)
        self._photos = next((name for name in PHOTOS if name in fields), None)
        self._data = self._photos if self._photos and fields[self._photos].annotation is Pictures else None
        positional = (self._networks, self._photos, "device")
        self._options = {name: field for name, field in fields.items() if name not in positional}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add photos and networks as words, and an option for every other field of the request."""
        what = [word for word, there in (("photos", self._photos), ("networks", self._networks)) if there]
        parser.add_argument("words", nargs="*", metavar=" and ".join(what).upper() or "WORD", help=", ".join(what))
        if self._data:
            parser.add_argument(
                "--data", metavar="DATA", help="a folder, a zip or tar, or a data set's name, instead of photos"
            )
            parser.add_argument("--split", choices=("train", "validation", "test"), help="which of its images")
            parser.add_argument("--limit", type=int, help="most images of it")
        for name, field in self._options.items():
            _add_option(parser, name, field)
        data_options.add_lab_folder(parser)
        parser.add_argument("--device", help="a torch device; CUDA where there is one")
        report_options.add_arguments(parser)

    def run(self, chosen: argparse.Namespace) -> None:
        """Ask the analysis, show its progress on standard error, and print the report."""
        with data_options.choosing(), ProgressLine() as line:
            lab = Lab(chosen.folder, chosen.device, on_progress=line)
            report = lab.ask(question(self._request.analysis, **self._fields(chosen, lab, line)))
        assert isinstance(report, Report)
        report_options.give(report, chosen)

    def _fields(self, chosen: argparse.Namespace, lab: Lab, line: ProgressLine) -> dict[str, Any]:
        texts = {name: getattr(chosen, name) for name in self._options}
        fields = {name: _value(value, self._options[name]) for name, value in texts.items() if value is not None}
        for value in fields.values():
            if isinstance(value, dict) and "data" in value:
                value["data"] = _data(value["data"], lab, line)
        if chosen.device and "device" in self._request.model_fields:
            fields["device"] = chosen.device
        photos = [word for word in chosen.words if self._photos and _is_photo(word)]
        networks = [word for word in chosen.words if word not in photos]
        if self._photos and not photos and not getattr(chosen, "data", None):
            raise InvalidRequest(f"Name a photo{' or --data, a data set' if self._data else ''}: a file, or a sample.")
        if networks:
            fields |= self._named(networks)
        if photos and self._photos:
            ids = lab.photos(*photos)
            fields[self._photos] = ids[0] if self._photos == "image" else ids
        if self._data and chosen.data:
            if photos:
                raise InvalidRequest("Name either photos or --data, a data set.")
            more = {"split": chosen.split, "limit": chosen.limit}
            data = _data(chosen.data, lab, line)
            fields[self._data] = {"data": data} | {name: value for name, value in more.items() if value}
        return fields

    def _named(self, networks: list[str]) -> dict[str, Any]:
        if self._networks is None:
            raise InvalidRequest(f"{networks[0]!r} is no photo, and this question is about no networks.")
        if self._networks == "variants":
            return {"variants": networks}
        if len(networks) > 1:
            raise InvalidRequest(f"This question is about one network, and {', '.join(networks)} are {len(networks)}.")
        return {"variant": networks[0]}


def _data(text: str, lab: Lab, line: ProgressLine) -> str:
    """What names a data set for the lab: a path that is there, read through now, or else the name that it is.

    Raises:
        BadData: at the path is nothing that can be read.
    """
    path = Path(text).expanduser()
    if not path.exists():
        return text
    place = str(path.absolute())
    DataFolder(lab.files.file_store, any_path=True).intake(place, line)
    return place


def _is_photo(word: str) -> bool:
    """Whether a word names a photo: a file, an id, a sample, or what looks like a file that is not there."""
    name = word.lower()
    known = bool(IMAGE.fullmatch(word)) or any(sample.name == word for sample in samples())
    return known or name.endswith(SUFFIXES) or Path(word).is_file()


def _add_option(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    """Add the option of a field; pydantic reads the words."""
    option = f"--{name.replace('_', '-')}"
    about = (field.description or "").replace("%", "%%")
    kind = _without_none(field.annotation)
    if kind is bool:
        parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=about)
    elif get_origin(kind) is tuple:
        parser.add_argument(option, nargs="+", metavar=_metavar(get_args(kind)[0]), help=about)
    else:
        parser.add_argument(option, metavar=_metavar(kind), help=about)


def _without_none(kind: Any) -> Any:
    """A type without the None beside it."""
    parts = [part for part in get_args(kind) if part is not type(None)]
    return parts[0] if get_origin(kind) in (UnionType, Union) and len(parts) == 1 else kind


def _metavar(kind: Any) -> str:
    """Return the placeholder of an option's value in the help."""
    if get_origin(kind) is Literal:
        return f"{{{','.join(map(str, get_args(kind)))}}}"
    return {int: "N", float: "X", str: "TEXT", Pictures: "DATA"}.get(kind, "VALUE")


def _value(value: Any, field: FieldInfo) -> Any:
    """What was typed as a field takes it: an object in JSON, the name of a data set, and else the word itself.

    Raises:
        InvalidRequest: it begins like JSON and is none.
    """
    if isinstance(value, list):
        return [_value(word, field) for word in value]
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            raise InvalidRequest(f"{value[:40]!r} begins like JSON and is none.") from None
    return {"data": value} if _without_none(field.annotation) is Pictures else value
