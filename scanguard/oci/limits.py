"""How much of an image is read before we give up, and the count of what was read so far."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NoReturn

from scanguard.errors import ImageTooLargeError


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits of one reading of an image; bytes unless the name says otherwise.

    The defaults let through every image known to us that is pulled in practice, and bound a hostile one to
    minutes and about a gigabyte of memory.
    """

    max_layer_compressed_bytes: int = 16 << 30
    max_total_compressed_bytes: int = 32 << 30
    max_layer_uncompressed_bytes: int = 64 << 30
    max_total_uncompressed_bytes: int = 128 << 30
    max_ratio: int = 300
    """Uncompressed bytes for each compressed one, of a layer, once it has given ``ratio_free_bytes``."""
    ratio_free_bytes: int = 64 << 20
    max_entries: int = 1_500_000
    """Tar entries of all layers together."""
    max_path_chars: int = 4096
    max_path_depth: int = 200
    """Components of a path."""
    max_file_bytes: int = 512 << 20
    """One wanted file."""
    max_wanted_bytes: int = 2 << 30
    """All wanted files of one call together; those of one layer are in memory at once."""
    max_alias_paths: int = 3_000_000
    """Paths through symbolic links that are tried."""
    max_seconds: float = 1800.0
    """Time spent reading, not the time the caller takes between two files."""


class ReadingStopped(Exception):
    """Ends the work in the thread: the caller went away, and nobody is left to see this."""


class ReadMeter:
    """Counts one call's reading against the limits, over all its layers. Used by one thread at a time."""

    def __init__(self, limits: ReadLimits) -> None:
        self.limits = limits
        self._layer = ""
        self._compressed = self._total_compressed = 0
        self._uncompressed = self._total_uncompressed = 0
        self._entries = self._wanted = self._aliases = 0
        self._left_s = limits.max_seconds
        self._started: float | None = None
        self._is_stopped = False

    def stop(self) -> None:
        """End the work in the thread at its next count; from any thread."""
        self._is_stopped = True

    def start_layer(self, digest: str) -> None:
        """Count for this layer from here on."""
        self._layer = digest
        self._compressed = self._uncompressed = 0

    def start_clock(self) -> None:
        """Reading begins, or goes on."""
        self._started = time.monotonic()

    def stop_clock(self) -> None:
        """The caller has the word."""
        self._left_s = self.left_s
        self._started = None

    @property
    def left_s(self) -> float:
        """Seconds of reading left, negative when over."""
        return self._left_s - (time.monotonic() - self._started if self._started is not None else 0.0)

    def compressed(self, count: int) -> None:
        """Bytes of a blob came in."""
        limits = self.limits
        self._compressed += count
        self._total_compressed += count
        if self._compressed > limits.max_layer_compressed_bytes:
            self.fail("max_layer_compressed_bytes")
        if self._total_compressed > limits.max_total_compressed_bytes:
            self.fail("max_total_compressed_bytes")

    def uncompressed(self, count: int) -> None:
        """Bytes were decompressed; looks at the clock too."""
        limits = self.limits
        self._uncompressed += count
        self._total_uncompressed += count
        if self._uncompressed > limits.max_layer_uncompressed_bytes:
            self.fail("max_layer_uncompressed_bytes")
        if self._total_uncompressed > limits.max_total_uncompressed_bytes:
            self.fail("max_total_uncompressed_bytes")
        if self._uncompressed > max(limits.ratio_free_bytes, self._compressed * limits.max_ratio):
            self.fail("max_ratio")
        self.clock()

    def clock(self) -> None:
        """Give up when the time is over, or nobody waits."""
        if self._is_stopped:
            raise ReadingStopped
        if self.left_s < 0:
            self.fail("max_seconds")

    def entry(self) -> None:
        """A tar entry was read."""
        self._entries += 1
        if self._entries > self.limits.max_entries:
            self.fail("max_entries")

    def path(self, parts: list[str]) -> None:
        """A name was read."""
        if len(parts) > self.limits.max_path_depth:
            self.fail("max_path_depth")
        if sum(map(len, parts)) + len(parts) - 1 > self.limits.max_path_chars:
            self.fail("max_path_chars")

    def wanted(self, size: int) -> None:
        """A wanted file begins."""
        if size > self.limits.max_file_bytes:
            self.fail("max_file_bytes")
        self._wanted += size
        if self._wanted > self.limits.max_wanted_bytes:
            self.fail("max_wanted_bytes")

    def alias(self) -> None:
        """A path through a symbolic link is tried."""
        self._aliases += 1
        if self._aliases > self.limits.max_alias_paths:
            self.fail("max_alias_paths")
        if not self._aliases % 4096:
            self.clock()

    def fail(self, limit: str) -> NoReturn:
        """Raise the ImageTooLargeError that names a limit."""
        where = f"layer {self._layer}" if self._layer else "image"
        value = getattr(self.limits, limit)
        raise ImageTooLargeError(f"{where}: reading stopped at the limit {limit} = {value}", target=self._layer or None)
