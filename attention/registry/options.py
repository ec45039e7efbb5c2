"""The signature is the form: keyword-only parameters of a module or backbone, as a schema and as a check.

def __init__(self, channels: int, *, reduction: Annotated[int, Field(ge=1, description="...")] = 16): ...
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from attention.errors import BadOption, did_you_mean
from attention.registry.aliases import Names


@cache
def _form(thing: Callable[..., Any]) -> type[BaseModel]:
    function = thing.__init__ if inspect.isclass(thing) else thing
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name != "classes"
    }
    return create_model("Options", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def schema(thing: Callable[..., Any]) -> dict[str, Any]:
    """JSON Schema of the options of a module or backbone: types, limits, defaults, descriptions."""
    return {key: value for key, value in _form(thing).model_json_schema().items() if key in ("properties", "$defs")}


def present(thing: Callable[..., Any], names: Names, *spellings: str) -> str | None:
    """The option of a module or backbone that is or was called by one of some names; None if it has none such."""
    form = _form(thing).model_fields
    return next((option for spelling in spellings if (option := names.option(spelling)) in form), None)


def check(name: str, thing: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the signature wants them, without those that say what the default says.

    Raises:
        BadOption: an option that is not in the signature, or a value it does not take.
    """
    form = _form(thing)
    for option in options:
        if option not in form.model_fields:
            names = ", ".join(form.model_fields)
            hint = did_you_mean(option, form.model_fields) if names else " It has no options."
            raise BadOption(f"{name!r} has no option {option!r}.{hint}")
    try:
        values = form.model_validate(dict(options))
    except ValidationError as error:
        fault = error.errors()[0]
        option = str(fault["loc"][0])
        rule = " or ".join(dict.fromkeys(fault["msg"] for fault in error.errors() if fault["loc"][0] == option))
        raise BadOption(f"{name!r} cannot take {option}={options[option]!r}: {rule}.") from None
    defaults = form()
    chosen = {option: getattr(values, option) for option in sorted(options)}
    return {option: value for option, value in chosen.items() if value != getattr(defaults, option)}
