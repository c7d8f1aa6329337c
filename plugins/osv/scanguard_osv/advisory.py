"""An OSV record: only the fields used here, tolerant of everything else.

Source: https://ossf.github.io/osv-schema/ (schema 1.7.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from scanguard.model.base import Instant

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""Largest record read; the largest known (Linux kernel records of Ubuntu) are near 2 MB."""

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9:._-]{0,199}"
"""What an advisory's id looks like; it becomes part of addresses and of what people are shown."""

_USED_SPECIFIC = ("urgency", "severity", "ubuntu_priority", "priority", "cves_map")


class UnreadableAdvisoryError(ValueError):
    """Bytes are no OSV record that can be used."""


def _empty_if_null(value: object) -> object:
    return () if value is None else value


def _used_specific(value: object) -> object:
    if not isinstance(value, Mapping):
        return {}
    return {key: value[key] for key in _USED_SPECIFIC if key in value}


Strings = Annotated[tuple[str, ...], BeforeValidator(_empty_if_null)]
Specific = Annotated[Mapping[str, JsonValue], BeforeValidator(_used_specific)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Rating(_Part):
    """A severity: ``type`` such as ``CVSS_V3`` or ``Ubuntu``; ``score`` a vector or a word."""

    type: str
    score: str


Ratings = Annotated[tuple[Rating, ...], BeforeValidator(_empty_if_null)]


class Event(_Part):
    """One step along the versions; exactly one field is set in a record that keeps the schema."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(_Part):
    """A stretch of versions; ``type`` is ``ECOSYSTEM``, ``SEMVER`` or ``GIT``."""

    type: str
    events: Annotated[tuple[Event, ...], BeforeValidator(_empty_if_null)] = ()


class AffectedPackage(_Part):
    """A package by ecosystem (with release) and name."""

    ecosystem: str
    name: str


class Affected(_Part):
    """One package that a record is about; ``package`` is None in entries that only name a repository."""

    package: AffectedPackage | None = None
    severity: Ratings = ()
    ranges: Annotated[tuple[Range, ...], BeforeValidator(_empty_if_null)] = ()
    versions: Strings = ()
    ecosystem_specific: Specific = {}
    database_specific: Specific = {}


class Reference(_Part):
    """A link."""

    url: str


class Advisory(_Part):
    """An OSV record."""

    id: str = Field(pattern=f"^{ID_PATTERN}$")
    modified: Instant
    published: Instant | None = None
    withdrawn: Instant | None = None
    aliases: Strings = ()
    upstream: Strings = ()
    summary: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    details: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    severity: Ratings = ()
    affected: Annotated[tuple[Affected, ...], BeforeValidator(_empty_if_null)] = ()
    references: Annotated[tuple[Reference, ...], BeforeValidator(_empty_if_null)] = ()
    database_specific: Specific = {}

    @property
    def packages(self) -> Sequence[AffectedPackage]:
        """Every package the record names, as often as it does."""
        return [entry.package for entry in self.affected if entry.package is not None]


def parse_advisory(data: bytes | str) -> Advisory:
    """Read one record; raises UnreadableAdvisoryError with what is wrong and never the record's own text."""
    if len(data) > MAX_RECORD_BYTES:
        raise UnreadableAdvisoryError(f"larger than {MAX_RECORD_BYTES} bytes")
    try:
        return Advisory.model_validate_json(data)
    except ValidationError as exc:
        raise UnreadableAdvisoryError(_first_problem(exc)) from exc
    except (ValueError, RecursionError) as exc:
        raise UnreadableAdvisoryError(f"no JSON that can be read ({type(exc).__name__})") from exc


def _first_problem(exc: ValidationError) -> str:
    problem: Any = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])
