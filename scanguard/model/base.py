"""What every record of the model shares: frozen, strict about unknown keys, one schema version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

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


def base_of(instance: str) -> str:
    """``qa`` of ``qa@deep``, the instance ``qa`` with its profile ``deep``."""
    return instance.partition("@")[0]
