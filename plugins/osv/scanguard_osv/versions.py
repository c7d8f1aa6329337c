"""Which of two versions is newer, in the order of their ecosystem."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from scanguard_osv.ecosystem import PYPI, base_of
from scanguard_osv.packages import MAX_FIELD_CHARS


class UnorderableVersionError(ValueError):
    """A text has no place in its ecosystem's order of versions."""


class VersionOrder(Protocol):
    """Compares two versions."""

    def __call__(self, a: str, b: str) -> int:
        """Negative, 0 or positive as ``a`` is older, the same or newer; raises UnorderableVersionError."""


def order_of(ecosystem: str) -> VersionOrder | None:
    """The order of an ecosystem's versions, or None when it is not known here."""
    return _ORDERS.get(base_of(ecosystem))


def _compare_dpkg(a: str, b: str) -> int:
    """Order as dpkg does, by univers, which has every vector of our tests right.

    python-debian and debian-inspector refuse versions that dpkg orders (an empty revision, a trailing tilde).
    """
    return _compare_parsed(_parse_dpkg, a, b)


def _compare_apk(a: str, b: str) -> int:
    from scanguard_osv.apk_version import compare_apk  # noqa: PLC0415  # only images with apk need it

    _refuse_giant(a)
    _refuse_giant(b)
    return compare_apk(a, b)


def _compare_pypi(a: str, b: str) -> int:
    """Order by PEP 440, and by setuptools' older order for what PEP 440 refuses, as osv.dev itself has it."""
    return _compare_parsed(_parse_pypi, a, b)


def _compare_parsed(parse: Callable[[str], Any], a: str, b: str) -> int:
    try:
        left, right = parse(a), parse(b)
        return bool(left > right) - bool(left < right)
    except UnorderableVersionError:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError) as exc:
        raise UnorderableVersionError(f"{a[:80]!r} and {b[:80]!r} cannot be compared") from exc


@lru_cache(maxsize=65_536)
def _parse_dpkg(text: str) -> Any:  # noqa: ANN401  # univers is untyped
    from univers.debian import Version  # noqa: PLC0415  # 50 ms to import, and only Debian and Ubuntu need it

    _refuse_giant(text)
    return Version.from_string(text)  # type: ignore[no-untyped-call]  # univers has no annotations


@lru_cache(maxsize=65_536)
def _parse_pypi(text: str) -> Any:  # noqa: ANN401  # packaging-legacy is untyped
    from packaging_legacy.version import parse  # type: ignore[import-untyped]  # noqa: PLC0415  # only images with Python need it

    _refuse_giant(text)
    return parse(text)


def _refuse_giant(text: str) -> None:
    if not text or len(text) > MAX_FIELD_CHARS:
        raise UnorderableVersionError(f"{text[:80]!r} is no version: it is empty or longer than {MAX_FIELD_CHARS}")


_ORDERS: dict[str, VersionOrder] = {
    "Debian": _compare_dpkg,
    "Ubuntu": _compare_dpkg,
    "Alpine": _compare_apk,
    "Wolfi": _compare_apk,
    "Chainguard": _compare_apk,
    PYPI: _compare_pypi,
}
