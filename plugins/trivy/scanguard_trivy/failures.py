"""What went wrong with a run of Trivy, as the right error. Pure.

Trivy ends with status 1 whatever happened and says why in its log, which is looked at for known words and never
repeated: it may hold what a registry, a server or an image wrote. The words are those of v0.69.3 and of the libraries
it uses.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Final

from scanguard.errors import (
    ProcessError,
    ScanError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTargetNotFoundError,
    ScanTimeoutError,
    ScanUnsupportedError,
)
from scanguard.process import Finished

_TAIL_BYTES: Final = 64 * 1024
_KINDS: Final[tuple[tuple[str, type[ScanError], str], ...]] = (
    (
        r"cannot be specified on the first run|cannot be specified with the old DB schema",
        ScannerUnavailableError,
        "there is no database in the cache that this version can use",
    ),
    (r"twirp error unauthenticated", ScannerAuthError, "the Trivy server refuses the token; check server_token"),
    (r"twirp error (unavailable|internal|malformed|bad_route)", ScannerUnavailableError, "the Trivy server failed"),
    (
        r"context deadline exceeded|Increase --timeout",
        ScanTimeoutError,
        "it did not end in time; raise timeout_s, or use a machine with more bandwidth and CPU",
    ),
    (r"TOOMANYREQUESTS|429 Too Many Requests", ScannerThrottledError, "a registry asks to slow down"),
    # Trivy asks again as nobody after its credential failed: what a registry says to who may look comes first.
    (
        r"MANIFEST_UNKNOWN|NAME_UNKNOWN|BLOB_UNKNOWN|404 Not Found",
        ScanTargetNotFoundError,
        "the registry does not have it",
    ),
    (
        r"UNAUTHORIZED|DENIED|401 Unauthorized|403 Forbidden|authentication required",
        ScannerAuthError,
        "the registry refuses us; check the credential that scanguard has for it",
    ),
    (
        r"uncompressed (image|layers) size .* exceeds|exceeds maximum allowed size",
        ScanUnsupportedError,
        "the image is larger than max_image_bytes",
    ),
    (
        r"unsupported artifact type|unsupported MediaType|invalid OCI image|unable to retrieve .* image config",
        ScanUnsupportedError,
        "it cannot read this kind of artifact",
    ),
    (
        r"unknown flag|unknown shorthand flag|invalid argument",
        ScannerUnavailableError,
        "this version does not know an option that is used here; 0.69.3 does",
    ),
    (
        r"may be in use by another process|cache may be locked",
        ScannerUnavailableError,
        "its cache is used by another process; give cache_dir to scanguard alone",
    ),
    (r"no space left on device", ScannerUnavailableError, "the disk is full; set work_dir to a larger one"),
    (
        r"unexpected status code 5\d\d|connection (refused|reset)|no such host|i/o timeout|network is unreachable"
        r"|tls: |x509: |EOF|server gave HTTP response to HTTPS client",
        ScannerUnavailableError,
        "the registry or the server cannot be reached, or fails",
    ),
)
_PATTERNS: Final = tuple((re.compile(words), kind, text) for words, kind, text in _KINDS)
_NO_JAVA: Final = "'--skip-java-db-update' cannot be specified on the first run"
_START_PROBLEMS: Final = {
    errno.ENOENT: "is not installed; install Trivy 0.69.3, or set `binary`",
    errno.EACCES: "may not be executed; set its mode, or `binary`",
    errno.ENOEXEC: "is no program for this machine; install Trivy for its processor",
    errno.ELIBBAD: "is no program for this machine; install Trivy for its processor",
}


def refuse(finished: Finished, what: str, target: str, *, is_about_image: bool = False) -> None:
    """Raise what a run that failed means; return when it did not fail.

    Args:
        finished: How it ended.
        what: What it was to do, such as ``scan``.
        target: The image, the program, or the repository of a database.
        is_about_image: Whether what is missing or cannot be read would be the image: then the error is final.
    """
    if finished.returncode == 0:
        return
    if finished.returncode < 0:
        raise ScannerUnavailableError(
            f"trivy was killed by signal {-finished.returncode} during its {what}; after a 9, look for a lack of "
            "memory",
            plugin="trivy",
            target=target,
        )
    kind, text = _meaning(_last_words(finished.stderr))
    if text:
        if kind in (ScanTargetNotFoundError, ScanUnsupportedError) and not is_about_image:
            kind = ScannerUnavailableError
        raise kind(f"trivy's {what} failed: {text}", plugin="trivy", target=target)
    raise ScannerUnavailableError(
        f"trivy's {what} failed with status {finished.returncode}, for a reason not known here; run it by hand to see "
        "its log",
        plugin="trivy",
        target=target,
    )


def lacks_java_database(finished: Finished) -> bool:
    """Whether it met Java archives and had no Java database to look them up in."""
    return finished.returncode > 0 and _NO_JAVA in _last_words(finished.stderr)


def not_run(exc: ProcessError, binary: str, timeout_s: float) -> ScanError:
    """What it means that a run did not come to its end."""
    cause = exc.__cause__
    if isinstance(cause, TimeoutError):
        return ScanTimeoutError(
            f"trivy did not end within {timeout_s:g} s and was killed", plugin="trivy", target=binary
        )
    if isinstance(cause, OSError):
        problem = _START_PROBLEMS.get(cause.errno or 0, "cannot be started")
        return ScannerUnavailableError(f"{binary} {problem}", plugin="trivy", target=binary)
    if isinstance(cause, ExceptionGroup):
        return ScannerOutputError(
            "trivy wrote more than max_output_bytes to its log, which it never should, and was killed",
            plugin="trivy",
            target=binary,
        )
    return ScannerUnavailableError(f"{binary} cannot be started", plugin="trivy", target=binary)


def _meaning(log: str) -> tuple[Callable[..., ScanError], str]:
    for pattern, kind, text in _PATTERNS:
        if pattern.search(log):
            return kind, text
    return ScannerUnavailableError, ""


def _last_words(log: bytes) -> str:
    """What was logged as fatal, last; all of the log's end where nothing was."""
    tail = log[-_TAIL_BYTES:].decode("utf-8", "replace")
    before, fatal, after = tail.rpartition("\tFATAL\t")
    return after if fatal else before or tail
