"""Whether an advisory is about an installed package: OSV's own evaluation, and nothing else.

Source: https://ossf.github.io/osv-schema/#evaluation (schema 1.7.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cmp_to_key, partial

from packaging.utils import canonicalize_name

from scanguard_osv.advisory import Advisory, Affected, AffectedPackage, Event, Range
from scanguard_osv.ecosystem import PYPI, applies_to, lookups_of
from scanguard_osv.packages import InstalledPackage
from scanguard_osv.versions import UnorderableVersionError, VersionOrder, order_of

_ORDERED_RANGES = frozenset(("ECOSYSTEM", "SEMVER"))
"""GIT ranges speak of commits, which an installed package does not name."""


@dataclass(frozen=True, slots=True)
class Match:
    """An advisory that is about a package.

    ``entries`` are the parts of the advisory that are about this package and hit its version; ``basis`` says
    what decided: ``range``, ``version list``, or ``osv.dev`` when only the service's answer says so.
    """

    package: InstalledPackage
    ecosystem: str
    advisory: Advisory
    entries: tuple[Affected, ...]
    basis: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """An advisory about a package of this name whose range cannot be compared with the installed version."""

    package: InstalledPackage
    ecosystem: str
    advisory_id: str


def normal_name(ecosystem: str, name: str) -> str:
    """A package's name as it is compared: PyPI's by PEP 503, every other as it stands."""
    return canonicalize_name(name) if ecosystem == PYPI else name


def entries_about(package: InstalledPackage, ecosystem: str, advisory: Advisory) -> tuple[Affected, ...]:
    """The entries of an advisory that are about this package, whatever its version.

    Entries for Ubuntu Pro count only in an advisory that has none for the release itself: where both are
    there, the release's own entry is the one that speaks of the packages everybody gets.
    """
    for lookup in lookups_of(ecosystem):
        found = tuple(
            entry for entry in advisory.affected if entry.package is not None and _names(entry.package, package, lookup)
        )
        if found:
            return found
    return ()


def match(package: InstalledPackage, ecosystem: str, advisory: Advisory) -> Match | Undecided | None:
    """Decide whether a package's version is affected; withdrawn advisories never match."""
    if advisory.withdrawn is not None:
        return None
    order = order_of(ecosystem)
    about = entries_about(package, ecosystem, advisory)
    version, hit, is_listed, is_undecided = package.source_version, [], False, False
    for entry in about:
        try:
            if version in entry.versions:
                hit.append(entry)
                is_listed = True
            elif order and any(_in_range(version, one, order) for one in _usable(entry)):
                hit.append(entry)
        except UnorderableVersionError:
            is_undecided = True
    if hit:
        return Match(package, ecosystem, advisory, tuple(hit), "version list" if is_listed else "range")
    return Undecided(package, ecosystem, advisory.id) if is_undecided or (about and order is None) else None


def _names(entry: AffectedPackage, package: InstalledPackage, ecosystem: str) -> bool:
    return applies_to(entry.ecosystem, ecosystem) and normal_name(ecosystem, entry.name) == package.source_name


def _usable(entry: Affected) -> Iterable[Range]:
    return (one for one in entry.ranges if one.type in _ORDERED_RANGES)


def _in_range(version: str, one: Range, order: VersionOrder) -> bool:
    """OSV's algorithm: walk the events in order, the last one at or before the version decides."""
    if not _is_before_limits(version, one, order):
        return False
    is_affected = False
    for event in sorted(one.events, key=cmp_to_key(partial(_compare_events, order))):
        if event.introduced is not None and (event.introduced == "0" or order(version, event.introduced) >= 0):
            is_affected = True
        elif (event.fixed is not None and order(version, event.fixed) >= 0) or (
            event.last_affected is not None and order(version, event.last_affected) > 0
        ):
            is_affected = False
    return is_affected


def _is_before_limits(version: str, one: Range, order: VersionOrder) -> bool:
    limits = [event.limit for event in one.events if event.limit is not None]
    return not limits or any(limit == "*" or order(version, limit) < 0 for limit in limits)


def _compare_events(order: VersionOrder, a: Event, b: Event) -> int:
    """Events at one version keep the record's order: Alpine writes introduced 0, fixed 0 for "never affected"."""
    a_version, b_version = _version_of(a), _version_of(b)
    if a_version == b_version:
        return 0
    if "0" in (a_version, b_version):
        return -1 if a_version == "0" else 1
    if "*" in (a_version, b_version):
        return 1 if a_version == "*" else -1
    return order(a_version, b_version)


def _version_of(event: Event) -> str:
    """The event's version; ``0`` is before every version, also when a record's event is empty."""
    return event.introduced or event.fixed or event.last_affected or event.limit or "0"
