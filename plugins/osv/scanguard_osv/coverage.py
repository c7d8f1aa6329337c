"""How far a scan looked, said so that "did not look" never reads like "nothing found"."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from scanguard.model.report import Coverage, CoverageItem, CoverageStatus
from scanguard_osv.ecosystem import KIND_OF_ID, PYPI, SUPPORTED_BASES, base_of, ecosystem_of
from scanguard_osv.inventory import Inventory
from scanguard_osv.os_release import OsRelease
from scanguard_osv.packages import PackageKind
from scanguard_osv.source import Held

_SECONDS_A_DAY = 86_400


def ecosystem_of_image(inventory: Inventory) -> str | None:
    """The OSV ecosystem of the image's distribution, or None when there is none to match against."""
    ecosystem = ecosystem_of(inventory.system) if inventory.system else None
    return ecosystem if ecosystem and base_of(ecosystem) in SUPPORTED_BASES else None


def describe_coverage(
    inventory: Inventory,
    held: Mapping[str, Held],
    *,
    source: str,
    now: datetime,
    max_age_days: float,
    wanted: Collection[str],
    undecided: Mapping[str, int],
) -> Coverage:
    """Say of each part of an image how far it was looked at.

    ``held`` tells of each ecosystem whether ``source`` has it; ``undecided`` counts the packages, by ecosystem,
    with an advisory whose versions could not be compared.
    """
    judge = _Judge(held, source, now, max_age_days, undecided)
    items = [_system_item(inventory, judge, wanted)]
    if PackageKind.PYPI in inventory.databases or inventory.distribution_python:
        items.append(_python_item(inventory, judge, wanted))
    if inventory.program:
        items.append(_program_item(inventory.program))
    items.extend(
        _gap(kind, f"{count} recognised and not looked into, such as {inventory.unsupported.examples[kind]}")
        for kind, count in sorted(inventory.unsupported.counts.items())
    )
    return Coverage(items=tuple(items))


@dataclass(frozen=True, slots=True)
class _Judge:
    held: Mapping[str, Held]
    source: str
    now: datetime
    max_age_days: float
    undecided: Mapping[str, int]

    def item(self, ecosystem: str, packages: int, problems: Sequence[str], note: str = "") -> CoverageItem:
        """Judge one ecosystem that was read."""
        held = self.held.get(ecosystem, Held(is_held=False))
        if not held.is_held:
            return _gap(ecosystem, f"{self.source} holds no advisory for {ecosystem}", packages)
        doubts = [*self._doubts(ecosystem, held), *_unreadable(problems)]
        status = CoverageStatus.PARTIAL if doubts else CoverageStatus.COVERED
        detail = "; ".join((*doubts, note)) if note else "; ".join(doubts)
        return CoverageItem(subject=ecosystem, status=status, packages=packages, detail=detail)

    def _doubts(self, ecosystem: str, held: Held) -> list[str]:
        doubts = []
        if held.updated_at is not None:
            age_days = (self.now - held.updated_at).total_seconds() / _SECONDS_A_DAY
            if age_days > self.max_age_days:
                doubts.append(f"the advisories are {int(age_days)} days old (newest: {held.updated_at:%Y-%m-%d})")
        if held.broken:
            doubts.append(f"{held.broken} advisories could not be read at import")
        if self.undecided.get(ecosystem):
            doubts.append(f"{self.undecided[ecosystem]} packages have a version that could not be compared")
        return doubts


def _system_item(inventory: Inventory, judge: _Judge, wanted: Collection[str]) -> CoverageItem:
    system, databases = inventory.system, inventory.databases & {PackageKind.DEB, PackageKind.APK}
    packages = sum(len(inventory.of(kind)) for kind in databases)
    if system is None and not databases:
        what = (
            "no package database of a distribution" if PackageKind.PYPI in inventory.databases else "nothing recognised"
        )
        return _gap("operating system", f"{what}: neither os-release nor a dpkg or apk database")
    if "os" not in wanted:
        return _gap("operating system", "left out by the configuration", packages)
    if system is None:
        return _gap("operating system", "no os-release says which distribution the packages are of", packages)
    ecosystem = ecosystem_of_image(inventory)
    if ecosystem is None:
        return _gap("operating system", _why_no_ecosystem(inventory), packages)
    return _release_item(inventory, system, ecosystem, judge)


def _release_item(inventory: Inventory, system: OsRelease, ecosystem: str, judge: _Judge) -> CoverageItem:
    kind = KIND_OF_ID[system.id]
    if kind not in inventory.databases:
        return _gap(ecosystem, f"{system} without a {kind} package database")
    problems = inventory.problems.get(kind, ())
    if not inventory.of(kind):
        return _gap(ecosystem, "; ".join((f"the {kind} package database lists no installed package", *problems[:1])), 0)
    others = inventory.databases & {PackageKind.DEB, PackageKind.APK} - {kind}
    beside = [f"{len(inventory.of(other))} {other} packages beside them are not judged" for other in others]
    return judge.item(ecosystem, len(inventory.of(kind)), (*problems, *beside))


def _why_no_ecosystem(inventory: Inventory) -> str:
    system = inventory.system
    if system is not None and system.id in KIND_OF_ID:
        return f"{system}: no numbered release, so no advisories can be chosen (testing, unstable, edge)"
    return f"{system}: a distribution this scanner does not read"


def _python_item(inventory: Inventory, judge: _Judge, wanted: Collection[str]) -> CoverageItem:
    packages = inventory.of(PackageKind.PYPI)
    if "python" not in wanted:
        return _gap(PYPI, "left out by the configuration", len(packages))
    own = inventory.distribution_python
    note = f"{own} more are packages of the distribution and judged by its advisories" if own else ""
    if own and not packages and not inventory.problems.get(PackageKind.PYPI):
        return CoverageItem(subject=PYPI, status=CoverageStatus.COVERED, packages=0, detail=note)
    return judge.item(PYPI, len(packages), inventory.problems.get(PackageKind.PYPI, ()), note)


def _program_item(path: str) -> CoverageItem:
    return _gap("programs", f"the image starts /{path}, which no package accounts for; programs are not looked into")


def _unreadable(problems: Sequence[str]) -> list[str]:
    if not problems:
        return []
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return [f"{problems[0]}{more}"]


def _gap(subject: str, detail: str, packages: int | None = None) -> CoverageItem:
    return CoverageItem(subject=subject, status=CoverageStatus.NOT_COVERED, packages=packages, detail=detail)
