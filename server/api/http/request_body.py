"""From the body of an HTTP request, JSON or a form, to a Request.

JSON types are strict: true is not accepted for 1, nor "3" for 3. Pydantic's own strict mode would refuse more than
that, for a network's short name is text, out of which numbers and tuples are read. So a question is read as forms are,
whose fields are all text, and then compared with what was sent.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest

from attention.data.files import image_id
from attention.errors import InvalidRequest, UnknownName
from attention.names import split_names
from attention.schemas import JobQuestion
from attention.spec import Plain, Request, Variant
from server.problems import invalid
from server.service import service
from server.web.bodies import media_type, read_body
from server.web.forms import Form, read_form

P = TypeVar("P", bound=Plain)
Q = TypeVar("Q", bound=Request[Any])

FILES = "image"
"""The form field that photos come in, as often as there are photos; their ids join the request's ``images``."""

MAX_FILES = 32

LITERAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false")
"""Numbers and truth values as JSON writes them (RFC 8259), which is how forms have to write them, too."""


def takes_files(request_type: type[Request[Any]]) -> bool:
    """Whether photos may come along with a question of this type."""
    return "images" in request_type.model_fields


async def refuse_unknown_parameters(http: HTTPRequest) -> None:
    """Return if a route knows every parameter of the address, as it has to know every field of a body.

    Raises:
        RequestValidationError: it does not know one.
    """
    if not http.scope.get("query_string"):
        return
    parameters = _parameters(http.scope["route"].dependant)
    faults = [
        {"type": "extra_forbidden", "loc": ("query", name), "msg": "", "ctx": {}}
        for name in dict.fromkeys(http.query_params)
        if name not in parameters
    ]
    if faults:
        raise invalid(faults, parameters)


def _parameters(dependant: Dependant) -> list[str]:
    """Names of the parameters that a route and what it depends on take, those that are fields of a model too."""
    names = [name for inner in dependant.dependencies for name in _parameters(inner)]
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            names += [info.alias or name for name, info in model.model_fields.items()]
        else:
            names.append(field.alias)
    return names


async def read_question(http: HTTPRequest, request_type: type[Q]) -> tuple[Q, dict[str, bytes]]:
    """The question in the body of a request, and the photos that came along, by id.

    Raises:
        RequestValidationError, AttentionError, HTTPException: it is not one, and why.
    """
    kind = media_type(http)
    if kind == "multipart/form-data" and takes_files(request_type):
        form = await read_form(http, service(http).settings, MAX_FILES)
        fields = _fields(form, request_type)
        photos = _photos(form)
        fields["images"] = [*fields.get("images", []), *(name for name, _ in photos)]
        return _validate(request_type, fields), dict(photos)
    if kind not in ("", "application/json") and not kind.endswith("+json"):
        forms = " or multipart/form-data" if takes_files(request_type) else ""
        raise HTTPException(415, f"The body is {kind!r}; this takes application/json{forms}.")
    example = f", such as {json.dumps(request_type.examples[0])}" if request_type.examples else ""
    return _validate_json(request_type, await _read_json(http, example, request_type.largest_body)), {}


async def read_photos(http: HTTPRequest) -> dict[str, bytes]:
    """The photos in the form that a body is, by id; none if it is empty.

    Raises:
        AttentionError, HTTPException: it is something else, and what.
    """
    kind = media_type(http)
    if kind == "multipart/form-data":
        return dict(_photos(await read_form(http, service(http).settings, MAX_FILES)))
    if await read_body(http, service(http).settings.max_json_bytes, "body"):
        raise HTTPException(415, f"The body is {kind!r}; this takes multipart/form-data with photos, or nothing.")
    return {}


async def read_job_question(http: HTTPRequest, requests: Mapping[str, type[Request[Any]]]) -> Request[Any]:
    """The question in the body of a job: any of these, by the name of its analysis.

    Raises:
        RequestValidationError, AttentionError, HTTPException: it is not one, and why.
    """
    kind = media_type(http)
    if kind not in ("", "application/json") and not kind.endswith("+json"):
        raise HTTPException(415, f"The body is {kind!r}; this takes application/json.")
    example = ', such as {"analysis": "cost", "request": {"variants": ["resnet50/se"]}}'
    question = _validate_json(JobQuestion, await _read_json(http, example))
    if question.analysis not in requests:
        raise UnknownName("analysis", question.analysis, requests)
    return _validate_json(requests[question.analysis], json.dumps(question.request))


async def _read_json(http: HTTPRequest, example: str, needed: int = 0) -> bytes:
    body = await read_body(http, max(service(http).settings.max_json_bytes, needed), "JSON body")
    if not body.strip():
        raise InvalidRequest(f"The body is empty. Send the question as JSON{example}.")
    return body


def _validate_json(kind: type[P], body: str | bytes) -> P:
    try:
        read = kind.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error, kind) from None
    _check_conversions(json.loads(body), read)
    return read


def _check_conversions(sent: Any, read: Plain) -> None:
    """Return if every number and truth value of a question was sent as one.

    Raises:
        RequestValidationError: one was read out of something else.
    """
    if faults := list(_conversions(sent, read)):
        raise invalid(faults, list(type(read).model_fields))


def _conversions(sent: Any, read: Any, place: tuple[str | int, ...] = ()) -> Iterator[dict[str, Any]]:
    """Where a number or truth value was read out of another type of JSON, as pydantic tells of faults.

    Args:
        sent: JSON.
        read: what became of it; where that is of another build, it is not looked into.
        place: where in the question it is.
    """
    if isinstance(sent, dict) and isinstance(read, BaseModel | Mapping):
        for name, value in sent.items():
            inside = read.get(name) if isinstance(read, Mapping) else getattr(read, name, None)
            yield from _conversions(value, inside, (*place, name))
    elif isinstance(sent, list) and isinstance(read, list | tuple) and len(sent) == len(read):
        for number, (value, inside) in enumerate(zip(sent, read, strict=True)):
            yield from _conversions(value, inside, (*place, number))
    elif isinstance(read, bool | int | float) and isinstance(sent, bool | int | float | str):
        type_name = "true or false" if isinstance(read, bool) else "a number"
        endless = isinstance(sent, float) and not math.isfinite(sent)
        if endless or isinstance(sent, str) or isinstance(sent, bool) != isinstance(read, bool):
            yield {"type": "converted", "loc": place, "msg": f"it should be {type_name}, not {json.dumps(sent)[:40]}"}


def _validate(request_type: type[Q], fields: dict[str, Any]) -> Q:
    try:
        read = request_type.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error, request_type) from None
    _check_conversions(fields, read)
    return read


def _invalid(error: ValidationError, kind: type[Plain]) -> Exception:
    return invalid(error.errors(include_url=False, include_context=True), list(kind.model_fields))


def _photos(form: Form) -> list[tuple[str, bytes]]:
    """The photos of a form, each with its id, in order."""
    for upload in form.files:
        if upload.field != FILES:
            raise InvalidRequest(f"Photos come in the form field {FILES!r}, not {upload.field!r}.")
    return [(image_id(upload.data), upload.data) for upload in form.files]


def _fields(form: Form, request_type: type[Request[Any]]) -> dict[str, Any]:
    """The text fields of a form as the request's: lists by repetition, variants by comma, anything nested as JSON."""
    texts_by_field: dict[str, list[str]] = {}
    for name, text in form.fields:
        texts_by_field.setdefault(name, []).append(text)
    if FILES in texts_by_field and FILES not in request_type.model_fields:
        raise InvalidRequest(f"The form field {FILES!r} holds text, not a file. With curl: -F {FILES}=@photo.jpg.")
    fields: dict[str, Any] = {}
    for name, texts in texts_by_field.items():
        field = request_type.model_fields.get(name)
        item = _item_type(field.annotation) if field else None
        if item is not None:
            fields[name] = [value for text in texts for value in _items(name, text, item)]
        elif len(texts) > 1:
            raise InvalidRequest(f"The form field {name!r} is given {len(texts)} times; it has one value.")
        else:
            fields[name] = _value(name, texts[0], field.annotation if field else None)
    return fields


def _items(name: str, text: str, item: Any) -> Iterable[Any]:
    """The entries of a list that one form field gives."""
    value = _value(name, text, item)
    if isinstance(value, list):
        return value
    return list(split_names(text)) if item is Variant and value is text else [value]


def _value(name: str, text: str, annotation: Any) -> Any:
    """JSON where a form field starts like an object or a list or is to be a number, and the text itself otherwise."""
    if not text.lstrip().startswith(("{", "[")):
        return _number(text) if _is_number(annotation) else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The form field {name!r} starts like JSON but is not valid: {error}.") from None


def _is_number(annotation: Any) -> bool:
    """Whether a field of this annotation takes numbers or truth values, and no text."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType, tuple):
        return all(map(_is_number, inside))
    return _is_number(inside[0]) if origin is Annotated else annotation in (NoneType, bool, int, float)


def _number(text: str) -> Any:
    """The number or truth value that text is in JSON; the text itself if it is none."""
    try:
        return json.loads(text) if LITERAL.fullmatch(text) else text
    except ValueError:  # thousands of digits
        return text


def _item_type(annotation: Any) -> Any:
    """What a tuple or list of this annotation holds; None if it is neither."""
    if get_origin(annotation) in (Union, UnionType):
        return next(filter(None, map(_item_type, get_args(annotation))), None)
    return get_args(annotation)[0] if get_origin(annotation) in (tuple, list) else None
