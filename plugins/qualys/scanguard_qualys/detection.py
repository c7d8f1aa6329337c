"""What Qualys says, whichever way it was asked: small typed records between the answers and our model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

Kind = Literal["CONFIRMED", "POTENTIAL", "INFORMATION", ""]


@dataclass(frozen=True, slots=True)
class Software:
    """A package that a QID was found in."""

    name: str
    version: str = ""
    fixed: str = ""
    path: str | None = None
    layer: str | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """One QID in one image; it may stand for many CVEs in many packages, or for none."""

    qid: int
    title: str = ""
    cves: tuple[str, ...] = ()
    severity: int | None = None
    customer_severity: int | None = None
    kind: Kind = "CONFIRMED"
    software: tuple[Software, ...] = ()
    products: tuple[str, ...] = ()
    cvss2: float | None = None
    cvss3: float | None = None
    published: datetime | None = None
    exempted: bool = False
    vendor: Mapping[str, JsonValue] = field(default_factory=dict)
    """QDS, threat intelligence and whatever else has no place of its own."""


@dataclass(frozen=True, slots=True)
class Control:
    """One compliance control."""

    id: str
    title: str = ""
    passed: bool | None = None
    criticality: str = ""
    vendor: Mapping[str, JsonValue] = field(default_factory=dict)
