"""Reads OSV exports from disk: a zip, a folder of JSON files, one JSON file, or JSON lines.

Everything is hostile until parsed: nothing is unpacked to disk, and entries, bytes and ratio are limited.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scanguard.errors import ConfigError
from scanguard_osv.advisory import MAX_RECORD_BYTES, Advisory, UnreadableAdvisoryError, parse_advisory

MAX_ENTRIES = 1_000_000
MAX_TOTAL_BYTES = 32 * 1024**3
MAX_RATIO = 200
"""Largest ratio of a record's size to its compressed size; real records stay under 60."""
_RATIO_FREE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of an export: its name there and the record, or why it cannot be read."""

    entry: str
    advisory: Advisory | None
    problem: str = ""


def read_export(path: Path) -> Iterator[Record]:
    """Yield every record of an export; a broken one is yielded as a problem, never left out.

    Raises ConfigError when the path is no export at all, or passes a limit.
    """
    try:
        yield from _limited(_entries(path), path)
    except FileNotFoundError as exc:
        raise ConfigError(f"{path}: no such file or folder", target=str(path)) from exc
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as exc:
        raise ConfigError(f"{path}: no zip file, or a damaged one; download it again", target=str(path)) from exc
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror or exc})", target=str(path)) from exc


def _entries(path: Path) -> Iterator[tuple[str, bytes | UnreadableAdvisoryError]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            if file.is_file():
                yield str(file.relative_to(path)), _capped(file)
    elif path.suffix.lower() == ".zip":
        yield from _zip_entries(path)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from _lines(path)
    elif path.suffix.lower() == ".json":
        yield path.name, _capped(path)
    elif path.exists():
        raise ConfigError(f"{path}: give a .zip, .json or .jsonl file, or a folder of .json files", target=str(path))
    else:
        raise FileNotFoundError(path)


def _zip_entries(path: Path) -> Iterator[tuple[str, bytes | UnreadableAdvisoryError]]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if len(infos) > MAX_ENTRIES:
            raise ConfigError(f"{path}: more than {MAX_ENTRIES} entries; refused", target=str(path))
        for info in infos:
            if info.filename.lower().endswith(".json") and not info.is_dir():
                yield info.filename, _zip_entry(archive, info)


def _zip_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | UnreadableAdvisoryError:
    allowed = min(MAX_RECORD_BYTES, max(_RATIO_FREE_BYTES, info.compress_size * MAX_RATIO))
    try:
        with archive.open(info) as stream:
            return _read(stream, allowed)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError, OSError) as exc:
        return UnreadableAdvisoryError(f"the zip entry cannot be read ({type(exc).__name__})")
    except Exception as exc:  # zlib.error and lzma.LZMAError share no base with the others
        return UnreadableAdvisoryError(f"the zip entry cannot be unpacked ({type(exc).__name__})")


def _lines(path: Path) -> Iterator[tuple[str, bytes | UnreadableAdvisoryError]]:
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_RECORD_BYTES + 1):
            number += 1
            if len(line) > MAX_RECORD_BYTES:
                raise ConfigError(f"{path}: line {number} is longer than {MAX_RECORD_BYTES} bytes", target=str(path))
            if line.strip():
                yield f"line {number}", line


def _capped(path: Path) -> bytes | UnreadableAdvisoryError:
    with path.open("rb") as stream:
        return _read(stream, MAX_RECORD_BYTES)


def _read(stream: IO[bytes], allowed: int) -> bytes | UnreadableAdvisoryError:
    data = stream.read(allowed + 1)
    return (
        data if len(data) <= allowed else UnreadableAdvisoryError(f"larger than {allowed} bytes, or packed too tight")
    )


def _limited(entries: Iterator[tuple[str, bytes | UnreadableAdvisoryError]], path: Path) -> Iterator[Record]:
    total = 0
    for count, (entry, data) in enumerate(entries, start=1):
        if count > MAX_ENTRIES:
            raise ConfigError(f"{path}: more than {MAX_ENTRIES} entries; refused", target=str(path))
        if isinstance(data, UnreadableAdvisoryError):
            yield Record(entry, None, str(data))
            continue
        total += len(data)
        if total > MAX_TOTAL_BYTES:
            raise ConfigError(f"{path}: more than {MAX_TOTAL_BYTES} bytes unpacked; refused", target=str(path))
        try:
            yield Record(entry, parse_advisory(data))
        except UnreadableAdvisoryError as exc:
            yield Record(entry, None, str(exc))
