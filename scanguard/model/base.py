"""What every record of the model shares: frozen, strict about unknown keys, one schema version."""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

SCHEMA_VERSION: Final = 1
"""Version of every stored document; a reader that meets a higher one gives the document back untouched."""


class Model(BaseModel):
    """A frozen record; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", defer_build=True)


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment, always aware and in UTC."""

Digest = Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$")]
"""``algorithm:hex`` as the OCI image specification writes it."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
"""Name of a plugin, instance or chain."""


_TRACEPARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def _legal_traceparent(value: object) -> str:
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else ""


class Traced(Model):
    """A record that carries the trace its work belongs to, in the spelling of W3C; something else counts as none.

    Without a trace it is written without the field, as workers wrote it that knew of none.
    """

    traceparent: Annotated[str, BeforeValidator(_legal_traceparent), Field(exclude_if=operator.not_)] = ""


def base_of(instance: str) -> str:
    """``qa`` of ``qa@deep``, the instance ``qa`` with its profile ``deep``."""
    return instance.partition("@")[0]
