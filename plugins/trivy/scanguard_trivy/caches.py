"""Cache folders: each is one Trivy's own while it runs, and keeps its databases for the next.

Trivy locks parts of its cache, and two that share one fail or wait for each other; so a folder is taken with a lock
that the system drops when its holder dies. Blocking, and quick.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scanguard.errors import ScannerUnavailableError

_MAX_CACHES: Final = 256
_LOCK: Final = "scanguard.lock"


@contextmanager
def own_cache(parent: Path) -> Iterator[Path]:
    """Take the first cache under ``parent`` that nobody uses, making one when all are in use.

    Raises ScannerUnavailableError when the folder cannot be written, or holds more caches than any machine has use for.
    """
    descriptor, folder = _take(parent)
    try:
        yield folder
    finally:
        os.close(descriptor)


def _take(parent: Path) -> tuple[int, Path]:
    try:
        for number in range(_MAX_CACHES):
            folder = parent / f"cache-{number}"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = _lock(folder / _LOCK)
            if descriptor is not None:
                return descriptor, folder
    except OSError as exc:
        raise ScannerUnavailableError(
            f"the cache folder {parent} cannot be used ({exc.strerror}); make it writable, or set cache_dir",
            plugin="trivy",
            target=str(parent),
        ) from exc
    raise ScannerUnavailableError(
        f"all {_MAX_CACHES} caches in {parent} are in use", plugin="trivy", target=str(parent)
    )


def _lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
