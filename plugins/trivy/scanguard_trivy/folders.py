"""The folders of one run: empty at its start, gone at its end however that comes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from scanguard.errors import ScannerUnavailableError
from scanguard_trivy.caches import own_cache
from scanguard_trivy.command import Folders


@asynccontextmanager
async def run_folders(work_dir: Path | None, cache_dir: Path) -> AsyncIterator[Folders]:
    """Make a folder to work in and take a cache; both are given back at the end, after the last child has ended.

    Raises ScannerUnavailableError when there is no place for them.
    """
    with own_cache(cache_dir) as cache:
        root = _make(work_dir)
        try:
            yield Folders(work=root / "work", temp=root / "temp", cache=cache, report=root / "report.json")
        finally:
            # Layers may be gigabytes: their removal blocks nobody, and is finished also when the scan is cancelled.
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, root, ignore_errors=True))


def _make(work_dir: Path | None) -> Path:
    where = work_dir or Path(tempfile.gettempdir())
    try:
        where.mkdir(parents=True, exist_ok=True)
        root = Path(tempfile.mkdtemp(prefix="scanguard-trivy-", dir=where))
        (root / "work").mkdir()
        (root / "temp").mkdir()
    except OSError as exc:
        raise ScannerUnavailableError(
            f"there is no room to work in {where} ({exc.strerror}); set work_dir", plugin="trivy", target=str(where)
        ) from exc
    return root
