"""How far Trivy looked, said so that "did not look" never reads like "nothing found". Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scanguard.model.report import Coverage, CoverageItem, CoverageStatus
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.mapping import OS_PACKAGES, one_line
from scanguard_trivy.report import OperatingSystem, Result, TrivyReport

LIBRARIES: Final = "lang-pkgs"
_SYSTEM: Final = "operating system"
_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Database:
    """The vulnerability database that was used; ``updated_at`` is None where nobody says."""

    updated_at: datetime | None = None


def describe_coverage(
    report: TrivyReport, config: TrivyConfig, database: Database, now: datetime, *, unreadable: int
) -> Coverage:
    """Say of each part of an image how far it was looked at.

    Args:
        report: What Trivy answered.
        config: What it was asked for.
        database: What it matched with.
        now: The time, for the age of the database.
        unreadable: Vulnerabilities in the report that could not be understood.
    """
    if not config.matches:
        return Coverage(items=(_gap("vulnerabilities", "left out by the configuration"),))
    describe = _Describer(config, tuple(_doubts(config, database, now, unreadable)))
    results = report.results or []
    return Coverage(items=(describe.system(report.metadata.os, results), *describe.libraries(results)))


def _doubts(config: TrivyConfig, database: Database, now: datetime, unreadable: int) -> Iterator[str]:
    if database.updated_at is None:
        yield "the age of the vulnerability database is not known"
    elif (age_s := (now - database.updated_at).total_seconds()) > config.max_database_age_days * _SECONDS_A_DAY:
        yield f"the vulnerability database is {int(age_s // _SECONDS_A_DAY)} days old ({database.updated_at:%Y-%m-%d})"
    if config.ignore_unfixed:
        yield "vulnerabilities without a fix are left out by the configuration"
    if unreadable:
        yield f"{unreadable} vulnerabilities in the report name no id or no package"


@dataclass(frozen=True, slots=True)
class _Describer:
    config: TrivyConfig
    doubts: tuple[str, ...]

    def system(self, system: OperatingSystem | None, results: Sequence[Result]) -> CoverageItem:
        """The distribution's packages; a result without any is as good as none."""
        name = _name_of(system)
        if "os" not in self.config.pkg_types:
            return _gap(name, "left out by the configuration")
        if name == _SYSTEM:
            beside = "libraries only" if results else "nothing"
            return _gap(_SYSTEM, f"no distribution was recognised; Trivy found {beside}")
        own = [result for result in results if result.class_ == OS_PACKAGES]
        if not own:
            return _gap(name, "Trivy holds no advisories for this distribution or release")
        packages = sum(len(result.packages or ()) for result in own)
        if not packages and not any(result.vulnerabilities for result in own):
            return _gap(name, "no package of the distribution was found", 0)
        ended = ("past its end of support: no more advisories come",) if system and system.eosl else ()
        return self._looked(name, packages or None, ended)

    def libraries(self, results: Sequence[Result]) -> Iterator[CoverageItem]:
        """Each kind of library that was found; none found is told by nothing, as there is nothing to look at."""
        if "library" not in self.config.pkg_types:
            yield _gap("libraries", "left out by the configuration")
            return
        counts: Counter[str] = Counter()
        for result in results:
            if result.class_ == LIBRARIES:
                counts[one_line(result.type) or "libraries"] += len(result.packages or ())
        for kind, packages in sorted(counts.items()):
            yield self._looked(kind, packages or None)

    def _looked(self, subject: str, packages: int | None, more: tuple[str, ...] = ()) -> CoverageItem:
        doubts = (*more, *self.doubts)
        status = CoverageStatus.PARTIAL if doubts else CoverageStatus.COVERED
        return CoverageItem(subject=subject, status=status, packages=packages, detail="; ".join(doubts))


def _name_of(system: OperatingSystem | None) -> str:
    if system is None or system.family in ("", "none"):
        return _SYSTEM
    return one_line(f"{system.family} {system.name}".strip())


def _gap(subject: str, detail: str, packages: int | None = None) -> CoverageItem:
    return CoverageItem(subject=subject, status=CoverageStatus.NOT_COVERED, packages=packages, detail=detail)
