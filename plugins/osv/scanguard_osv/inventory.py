"""Reads everything an image's package databases say, in one pass over its files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scanguard.oci.blobs import ImageFile, ImageReader
from scanguard_osv import apk, dpkg, os_release, python
from scanguard_osv.os_release import OsRelease
from scanguard_osv.packages import InstalledPackage, PackageKind, Parsed
from scanguard_osv.programs import start_candidates, started_program
from scanguard_osv.unsupported import Unsupported, kind_of

_LARGE_BYTES = 64 * 1024
"""Files from this size on are parsed in a thread, so that the event loop stays free."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an image holds, as far as this scanner can read it.

    ``databases`` are the kinds of package database found, also empty ones. ``distribution_python`` counts
    Python packages that came as packages of the distribution: its advisories speak of those, with the fixes it
    ports back, so PyPI's are not asked. ``program`` is what the image starts, when no package accounts for it.
    ``problems`` has, per kind of database, a line for each entry that could not be read.
    """

    system: OsRelease | None
    packages: tuple[InstalledPackage, ...]
    databases: frozenset[PackageKind]
    problems: Mapping[PackageKind, tuple[str, ...]]
    unsupported: Unsupported
    distribution_python: int = 0
    program: str | None = None

    def of(self, kind: PackageKind) -> tuple[InstalledPackage, ...]:
        """The packages of one kind."""
        return tuple(package for package in self.packages if package.kind is kind)


@dataclass(slots=True)
class _Collector:
    """What is gathered while the files go by."""

    programs: frozenset[str]
    systems: dict[str, OsRelease] = field(default_factory=dict)
    parsed: list[tuple[PackageKind, Parsed]] = field(default_factory=list)
    owned: set[str] = field(default_factory=set)
    recognised: list[str] = field(default_factory=list)
    present: set[str] = field(default_factory=set)

    def see(self, path: str) -> None:
        """Note a path that matters by its name alone."""
        if kind_of(path) is not None:
            self.recognised.append(path)
        if path in self.programs:
            self.present.add(path)

    def take(self, file: ImageFile) -> None:
        """Read one file that was asked for."""
        path = file.path
        if path in os_release.PATHS:
            self.systems[path] = os_release.parse_os_release(file.data)
        elif dpkg.is_database(path):
            self._add(PackageKind.DEB, dpkg.parse_status(file.data, path=path, layer=file.layer))
        elif dpkg.is_file_list(path):
            self._own(dpkg.parse_file_list(file.data))
        elif apk.is_database(path):
            self._add(PackageKind.APK, apk.parse_installed(file.data, path=path, layer=file.layer))
            self._own(apk.owned_paths(file.data))
        elif python.is_record(path):
            self._own(python.parse_record(file.data, path=path))
        else:
            self._add(PackageKind.PYPI, python.parse_metadata(file.data, path=path, layer=file.layer))

    def _add(self, kind: PackageKind, parsed: Parsed) -> None:
        self.parsed.append((kind, parsed))

    def _own(self, paths: Iterable[str]) -> None:
        self.owned.update(
            path for path in paths if path in self.programs or python.is_metadata(path) or kind_of(path) is not None
        )


async def read_inventory(reader: ImageReader) -> Inventory:
    """Read an open image. Raises what the reader raises (RegistryError)."""
    start = start_candidates(reader.config)
    collector = _Collector(frozenset(path for word in start for path in word))
    async for file in reader.files(is_wanted, on_path=collector.see):
        if len(file.data) > _LARGE_BYTES:
            await asyncio.to_thread(collector.take, file)
        else:
            collector.take(file)
    return _inventory(collector, start)


def is_wanted(path: str) -> bool:
    """Whether a file's bytes are needed."""
    return (
        path in os_release.PATHS
        or dpkg.is_database(path)
        or dpkg.is_file_list(path)
        or apk.is_database(path)
        or python.is_metadata(path)
        or python.is_record(path)
    )


def _inventory(collector: _Collector, start: Sequence[Sequence[str]]) -> Inventory:
    unsupported = Unsupported()
    for path in collector.recognised:
        if path not in collector.owned:
            unsupported.see(path)
    packages = dict.fromkeys(package for _, parsed in collector.parsed for package in parsed.packages)
    kept = [one for one in packages if not (one.kind is PackageKind.PYPI and one.path in collector.owned)]
    kinds = {kind for kind, _ in collector.parsed}
    return Inventory(
        system=next((collector.systems[path] for path in os_release.PATHS if path in collector.systems), None),
        packages=_without_doubles(kept),
        databases=frozenset(kinds),
        problems={kind: tuple(line for k, p in collector.parsed if k is kind for line in p.problems) for kind in kinds},
        unsupported=unsupported,
        distribution_python=len(packages) - len(kept),
        program=started_program(start, collector.present, collector.owned),
    )


def _without_doubles(packages: Iterable[InstalledPackage]) -> tuple[InstalledPackage, ...]:
    """One database seen under two paths (``/lib`` linked to ``/usr/lib``) counts once; Python copies all count."""
    kept: dict[tuple[str, ...], InstalledPackage] = {}
    for one in packages:
        place = one.path if one.kind is PackageKind.PYPI else ""
        kept.setdefault((one.kind, one.name, one.version, one.architecture, place), one)
    return tuple(kept.values())
