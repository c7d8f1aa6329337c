"""Personal data of a caller, put wherever an event has room for it, and objects that must not be looked into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from pydantic import JsonValue

from scanguard.testing.contracts.probes import CANARY

_SCHEMA: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_CLAIMS: Final[dict[str, JsonValue]] = {
    f"{_SCHEMA}/name": CANARY,
    f"{_SCHEMA}/upn": f"{CANARY}@example.com",
    f"{_SCHEMA}/emailaddress": f"{CANARY}@example.com",
    "name": CANARY,
    "upn": f"{CANARY}@example.com",
    "unique_name": CANARY,
    "ipaddr": CANARY,
}
"""What a token says of a person; names as in Azure's activity log."""
_CALLER: Final[dict[str, JsonValue]] = {
    "claims": _CLAIMS,
    "caller": f"{CANARY}@example.com",
    "email": f"{CANARY}@example.com",
    "userPrincipalName": f"{CANARY}@example.com",
    "displayName": CANARY,
}


def with_caller(event: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The event with the caller's name, addresses and claims beside whatever each of its objects says already."""
    told = {key: with_caller(value) if isinstance(value, dict) else value for key, value in event.items()}
    claims = told.get("claims")
    if isinstance(claims, dict):
        told["claims"] = {**_CLAIMS, **claims}
    return {**_CALLER, **told}


def _looked(*_: object, **__: object) -> NoReturn:
    raise AssertionError("it looks below the first level: an event may be large, and every source is asked about it")


class _SealedObject(dict[str, Any]):
    __getitem__ = __iter__ = __contains__ = get = items = keys = values = _looked


class _SealedList(list[Any]):
    __getitem__ = __iter__ = __contains__ = index = count = _looked


def sealed(event: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The event with objects and lists that fail when they are looked into."""

    def seal(value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            return _SealedObject(value)
        return _SealedList(value) if isinstance(value, list) else value

    return {key: seal(value) for key, value in event.items()}
