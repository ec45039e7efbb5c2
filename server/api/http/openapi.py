"""What the API says of itself beyond what FastAPI knows: questions in both ways of sending photos, errors, keys.

The route of an analysis reads its body itself, so FastAPI cannot see the question's type. All else is FastAPI's own.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from attention.schemas import Problem
from attention.spec import Request
from server.access.middleware import OPEN
from server.api.http.request_body import FILES, MAX_FILES, takes_files
from server.api.http.responses import FILE_SCHEMA
from server.problems import MEDIA_TYPE

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, where the service asks for one."},
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same in a header of its own.",
    },
}
"""How a key is sent."""

REQUEST_ID: dict[str, Any] = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "A name of the client's own for this request, by which the answer and the log know it.",
    "schema": {"type": "string"},
}
"""What every request may carry. openapi-python-client 0.27 to 0.29 also needs an optional parameter beside a body of
several types, or it forgets an import (https://github.com/openapi-generators/openapi-python-client/issues/1451)."""

Named = tuple[type[BaseModel], JsonSchemaMode]

REFERENCE = "#/components/schemas/"

FAULTS = {
    400: "A table that it holds cannot be read; the detail says which line, and why.",
    404: "It names something that is not here.",
    401: "It needs an API key: `Authorization: Bearer KEY`.",
    403: "It comes from a web page of another site, which is not allowed to ask; or it changes what another key owns.",
    405: "Another method is needed.",
    406: "It cannot be had in that format.",
    408: "Its body took too long to come.",
    409: "It clashes with what is there: it has ended already, or the name is taken.",
    413: "It is larger than the limits.",
    415: "Its body is of a type that is not taken here.",
    421: "It calls the service by a name that is not its own.",
    422: "It does not make sense as asked; the detail says why.",
    429: "The API key has too much in flight; Retry-After says when to come back.",
    500: "A bug in the service.",
    503: "No room or not ready now; Retry-After says when to come back.",
}


def problems(*faults: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that tell of errors, each a Problem."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{REFERENCE}{Problem.__name__}"}}}
    return {status: {"description": FAULTS[status], "content": content} for status in sorted({*faults, 500})}


SEEN_ALREADY: dict[str, Any] = {"description": "The caller has it already: If-None-Match names its ETag."}


class Schemas:
    """The JSON Schemas of questions and reports under ``components``, and references to them."""

    def __init__(self, requests: tuple[type[Request[Any]], ...]) -> None:
        named: dict[Named, None] = {(model, "validation"): None for model in requests}
        outgoing: list[type[BaseModel]] = [*(request.report for request in requests), Problem]
        named |= {(model, "serialization"): None for model in outgoing}
        self._references, schemas = models_json_schema(list(named), ref_template=f"{REFERENCE}{{model}}")
        self.definitions: dict[str, Any] = schemas.get("$defs", {})
        for schema in list(self.definitions.values()):  # an object inside a union gets a name
            options = schema.get("anyOf", [])
            options[:] = [
                self.named(option["title"], option) if "properties" in option else option for option in options
            ]

    def named(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema under a name of its own, by which generated clients call it."""
        self.definitions[name] = schema
        return {"$ref": f"{REFERENCE}{name}"}

    def taken(self, model: type[BaseModel]) -> dict[str, Any]:
        """A model as it comes in."""
        return dict(self._references[model, "validation"])

    def given(self, model: type[BaseModel]) -> dict[str, Any]:
        """A model as it goes out."""
        return dict(self._references[model, "serialization"])

    def question(self, request: type[Request[Any]]) -> dict[str, Any]:
        """The ``requestBody`` of an analysis."""
        content: dict[str, Any] = {"application/json": {"schema": self.taken(request)}}
        if takes_files(request):
            content["multipart/form-data"] = {"schema": self._form(request)}
        return {"required": True, "content": content}

    @staticmethod
    @cache
    def _form(request: type[Request[Any]]) -> dict[str, Any]:
        fields: dict[str, Any] = {
            FILES: {
                "type": "array",
                "items": FILE_SCHEMA,
                "maxItems": MAX_FILES,
                "description": "Photos; repeat the field for several.",
            }
        }
        properties = request.model_json_schema(ref_template=f"{REFERENCE}{{model}}")["properties"]
        for name, field in properties.items():
            text = field.get("description", "")
            if field.get("type") in ("integer", "number", "boolean", "string"):
                fields[name] = field
            elif field.get("type") == "array":
                hint = "Repeat the field" + (", or separate short names by commas." if name == "variants" else ".")
                fields[name] = {"type": "array", "items": {"type": "string"}, "description": f"{text} {hint}"}
            else:
                fields[name] = {"type": "string", "description": f"{text} As JSON."}
        return {"type": "object", "properties": fields, "additionalProperties": False}


schemas_of = cache(Schemas)
"""JSON Schemas of all questions; made once a process, which tests with many apps need."""


def _with_own_names(description: dict[str, Any]) -> dict[str, Any]:
    """Call each schema by one name, which is its title: what goes out by its class, what comes in by ``...Input``."""
    names = {
        name: name.removesuffix("-Output").replace("-Input", "Input") for name in description["components"]["schemas"]
    }
    description = _renamed(description, {REFERENCE + old: REFERENCE + new for old, new in names.items()})
    schemas = description["components"]["schemas"]
    description["components"]["schemas"] = {
        names[old]: {**schemas[old], "title": names[old]} for old in sorted(schemas)
    }
    return description


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A copy of JSON whose references go by other names."""
    if isinstance(value, dict):
        return {key: _renamed(inside, names) for key, inside in value.items()}
    if isinstance(value, list):
        return [_renamed(inside, names) for inside in value]
    return names.get(value, value) if isinstance(value, str) else value


def _guard(operation: dict[str, Any], needs_key: bool) -> None:
    """Let a route's description tell of what every request passes before it gets there."""
    before = [401, 403, 421, 422, 429, 503] if needs_key else [403, 421, 422]
    if "requestBody" in operation:
        before += [408]
        operation.setdefault("parameters", []).append(REQUEST_ID)
    refused = {str(status): answer for status, answer in problems(*before).items()}
    operation["responses"] = dict(sorted({**refused, **operation["responses"]}.items()))
    if needs_key:
        operation["security"] = [{name: []} for name in SCHEMES] + [{}]


def describe(app: FastAPI, schemas: Schemas) -> None:
    """Let an app's own description carry these schemas; it is made when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            description = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            components = description.setdefault("components", {})
            components.setdefault("schemas", {}).update(schemas.definitions)
            components["securitySchemes"] = SCHEMES
            for path, methods in description["paths"].items():
                for operation in methods.values():
                    _guard(operation, needs_key=path not in OPEN)
            app.openapi_schema = _with_own_names(description)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
