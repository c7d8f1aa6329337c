"""What one check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

AREAS: Final = (
    "plugins",
    "configuration",
    "secrets",
    "registries",
    "scanners",
    "delivery",
    "platforms",
    "data",
    "queue",
    "clock",
    "environment",
)
"""In the order in which one would put things right."""


class Status(StrEnum):
    """``warn`` works, but not for long or not as meant; ``skipped`` could not be looked at, or need not be."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``remedy`` says what to do, and trouble always has one."""

    area: str
    subject: str
    status: Status
    detail: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.status in {Status.WARN, Status.FAIL} and not self.remedy:
            raise ValueError(f"{self.area}, {self.subject}: trouble without a remedy helps nobody")


def ok(area: str, subject: str, detail: str) -> Check:
    """All is well."""
    return Check(area, subject, Status.OK, detail)


def warn(area: str, subject: str, detail: str, remedy: str) -> Check:
    """It works, but somebody should look."""
    return Check(area, subject, Status.WARN, detail, remedy)


def fail(area: str, subject: str, detail: str, remedy: str) -> Check:
    """It does not work."""
    return Check(area, subject, Status.FAIL, detail, remedy)


def skipped(area: str, subject: str, detail: str) -> Check:
    """It was not looked at; the detail says why."""
    return Check(area, subject, Status.SKIPPED, detail)
