"""read_form: a multipart/form-data body, read with every limit held while the bytes enter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from attention.errors import InvalidRequest, TooLarge
from server.settings import Settings
from server.web.bodies import chunks, too_large

MAX_FIELDS = 100

EXTENDED_NAME = re.compile(r";\s*filename\*\s*=\s*\"?([\w.:-]+)'[\w-]*'([^\";\s]*)", re.IGNORECASE)
"""A file name with its character set, in percent signs: ``filename*=UTF-8'en'caf%C3%A9.jpg``."""


@dataclass(frozen=True)
class Upload:
    """A file of a form: the field it came in, its name without folders, its bytes."""

    field: str
    name: str
    data: bytes


@dataclass(frozen=True)
class Form:
    """A multipart/form-data body: text fields in order, repeated ones too, and files."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[Upload] = field(default_factory=list)


def plain_name(name: str) -> str:
    """A file name without folders and control characters, at most 255 characters long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable()).strip()[-255:] or "unnamed"


async def read_form(request: Request, settings: Settings, max_files: int) -> Form:
    """A multipart/form-data body.

    Raises:
        TooLarge: a file, the text, the whole, or the number of parts is over its limit.
        InvalidRequest: it is not well-formed.
    """
    reader = _FormReader(settings, max_files)
    _, parameters = parse_options_header(request.headers.get("content-type"))
    if not parameters.get(b"boundary"):
        raise InvalidRequest("Content-Type multipart/form-data needs a boundary. Let the HTTP client set the header.")
    try:
        parser = MultipartParser(
            parameters[b"boundary"],
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_end,
                "on_headers_finished": reader.headers_finished,
                "on_part_data": reader.part_data,
                "on_part_end": reader.part_end,
                "on_end": reader.end,
            },
        )
        async for chunk in chunks(request, settings.max_request_bytes, "request"):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequest(f"The multipart/form-data body is not well-formed: {error}.") from None
    if not reader.complete:
        raise InvalidRequest("The multipart/form-data body ends in the middle. Send it whole.")
    return reader.form


def _file_name(disposition: bytes, options: Mapping[bytes, bytes]) -> str | None:
    """The name of a part's file, also from a client that sends only ``filename*=UTF-8''...`` (RFC 5987)."""
    if b"filename" in options:
        return options[b"filename"].decode("utf-8", "replace")
    extended = EXTENDED_NAME.search(disposition.decode("latin-1"))
    if extended is None:
        return None
    try:
        return unquote_to_bytes(extended[2]).decode(extended[1])
    except (LookupError, UnicodeDecodeError):
        return unquote_to_bytes(extended[2]).decode("utf-8", "replace")


class _FormReader:
    """Collects the parts that the parser finds, and stops at the first that breaks a limit."""

    def __init__(self, settings: Settings, max_files: int) -> None:
        self.form = Form()
        self.complete = False
        self._settings = settings
        self._max_files = max_files
        self._text_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._field = ""
        self._file: str | None = None
        self._data: list[bytes] = []
        self._size = 0

    def begin(self) -> None:
        self._headers, self._data, self._size = {}, [], 0

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise InvalidRequest("A part of the form has no name. It needs Content-Disposition: form-data; name=...")
        self._field = options[b"name"].decode("utf-8", "replace")
        self._file = None
        file_name = _file_name(self._headers.get(b"content-disposition", b""), options)
        if file_name is not None:
            self._file = plain_name(file_name)
        if self._file is not None and len(self.form.files) == self._max_files:
            raise TooLarge(f"There are more files in the form than the {self._max_files} that are taken at once.")
        if self._file is None and len(self.form.fields) == MAX_FIELDS:
            raise TooLarge(f"There are more fields in the form than the {MAX_FIELDS} that are taken.")

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._file is None:
            self._text_bytes += end - start
            if self._text_bytes > self._settings.max_json_bytes:
                raise too_large("text in the form", self._settings.max_json_bytes)
        elif self._size > self._settings.max_upload_bytes:
            raise too_large(f"file {self._file!r}", self._settings.max_upload_bytes)
        self._data.append(data[start:end])

    def part_end(self) -> None:
        data = b"".join(self._data)
        self._data = []
        if self._file is not None:
            self.form.files.append(Upload(self._field, self._file, data))
            return
        try:
            self.form.fields.append((self._field, data.decode()))
        except UnicodeDecodeError:
            raise InvalidRequest(
                f"The field {self._field!r} of the form is not UTF-8 text. "
                "If it is a file, send it as one: curl -F image=@photo.jpg."
            ) from None

    def end(self) -> None:
        self.complete = True
