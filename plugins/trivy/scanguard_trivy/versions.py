"""What the program, or a server, says of itself: its version and its databases. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final

import msgspec

from scanguard.errors import ScannerOutputError, ScannerUnavailableError
from scanguard_trivy.config import TrivyConfig

_RELEASE: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")
_SHOWN: Final = re.compile(r"[A-Za-z0-9.+_-]{1,60}")
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class DatabaseState(msgspec.Struct, frozen=True, rename="pascal"):
    """A database: when it was made, and when a newer one is due."""

    updated_at: Moment | None = None
    next_update: Moment | None = None


class VersionInfo(msgspec.Struct, frozen=True, rename="pascal"):
    """``pkg/version/version.go``; a database that is not there is left out."""

    version: str
    vulnerability_db: DatabaseState | None = msgspec.field(default=None, name="VulnerabilityDB")
    java_db: DatabaseState | None = msgspec.field(default=None, name="JavaDB")


_DECODER: Final = msgspec.json.Decoder(VersionInfo)


def parse_version(data: bytes, source: str) -> VersionInfo:
    """Read what ``source`` (the program, or a server's address) says; ScannerOutputError when it makes no sense."""
    try:
        told = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _unreadable(source) from None
    if not _SHOWN.fullmatch(told.version):
        raise _unreadable(source)
    return told


def check_version(told: VersionInfo, config: TrivyConfig, source: str) -> None:
    """Refuse a version that must not be used; ScannerUnavailableError says why and what to install."""
    version = told.version.removeprefix("v")
    if version in config.refused_versions:
        raise ScannerUnavailableError(
            f"{source} is Trivy {version}, which is refused: 0.69.4 to 0.69.6 came from attackers (March 2026); treat "
            "the machine it ran on as broken into, and install another release, such as 0.69.3",
            plugin="trivy",
            target=source,
        )
    if config.allowed_versions:
        if version not in config.allowed_versions:
            allowed = ", ".join(config.allowed_versions)
            raise ScannerUnavailableError(
                f"{source} is Trivy {version}, and allowed_versions has only {allowed}", plugin="trivy", target=source
            )
    elif not _RELEASE.fullmatch(version):
        raise ScannerUnavailableError(
            f"{source} is Trivy {version}, which is no release; install one, or name it in allowed_versions",
            plugin="trivy",
            target=source,
        )


def _unreadable(source: str) -> ScannerOutputError:
    return ScannerOutputError(f"{source} does not say its version as Trivy does", plugin="trivy", target=source)
