"""Plain data: frozen, hashable, compared by its JSON."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Plain(BaseModel):
    """Frozen data that hashes and compares by its JSON, so that options may be a dict."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    @cached_property
    def _json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(update=update, deep=deep)
        for derived in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[derived]
        return copied

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._json))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._json == other._json
