"""Area ``environment``: Python, libraries that are missing, variables that mislead."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from scanguard.doctor.check import Check, fail, ok, warn
from scanguard.doctor.situation import Situation
from scanguard.settings.server import ServerSettings

AREA: Final = "environment"
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_BOUND: Final = re.compile(r"(>=|<)\s*(\d+)\.(\d+)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SERVE: Final = ("starlette", "uvicorn", "jwt", "cryptography")
_TELEMETRY: Final = ("opentelemetry.sdk", "opentelemetry.exporter")
_ASKS_FOR_METRICS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")


def environment_checks(situation: Situation) -> Iterator[Check]:
    """Everything that can be told without any I/O beyond installed metadata."""
    environ = situation.question.options.environ
    yield judge_python(sys.version_info[:2], _supported())
    yield from _libraries(situation)
    yield from _extras(situation, environ)
    yield judge_proxies(environ)
    yield from judge_certificate_files(environ)


def judge_python(running: tuple[int, int], supported: str) -> Check:
    """Whether ``Requires-Python``, such as ``>=3.11,<3.14``, holds the interpreter that runs."""
    detail = f"{running[0]}.{running[1]} ({sys.implementation.name} {sys.version.split()[0]})"
    for sign, major, minor in _BOUND.findall(supported):
        limit = (int(major), int(minor))
        if (running < limit) if sign == ">=" else (running >= limit):
            remedy = f"run scanguard with a Python {supported}"
            return fail(AREA, "python", f"{detail}; scanguard supports {supported}", remedy)
    return ok(AREA, "python", detail)


def _supported() -> str:
    try:
        return str(metadata("scanguard")["Requires-Python"] or "")
    except PackageNotFoundError:
        return ""


def _libraries(situation: Situation) -> Iterator[Check]:
    """What scanguard and its plugins say they need is installed; extras and platforms aside."""
    infos = situation.plugins.plugins if situation.plugins else ()
    distributions = dict.fromkeys(["scanguard", *(info.distribution for info in infos if info.distribution)])
    lost = {name: missing for name in distributions if (missing := _missing_of(name))}
    for name, missing in lost.items():
        remedy = f"install {name} again: pip install --force-reinstall {name}"
        yield fail(AREA, "libraries", f"{name} needs {', '.join(missing)}, not installed", remedy)
    if not lost:
        yield ok(AREA, "libraries", "everything is there that scanguard and its plugins ask for")


def _missing_of(distribution: str) -> Sequence[str]:
    try:
        needed = requires(distribution) or ()
    except PackageNotFoundError:  # a deployment that lost its metadata
        return ()
    names = [found[0] for text in needed if ";" not in text and (found := _NAME.match(text))]
    return [name for name in names if not _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _extras(situation: Situation, environ: Mapping[str, str]) -> Iterator[Check]:
    settings = situation.loaded.settings if situation.loaded else None
    if settings is not None and settings.server != ServerSettings():
        yield from _extra("serve", _SERVE, "the section `server` is configured")
    asks = [name for name in _ASKS_FOR_METRICS if environ.get(name)]
    if asks and environ.get("OTEL_METRICS_EXPORTER") != "none":
        yield from _extra("telemetry", _TELEMETRY, f"{asks[0]} is set")


def _extra(extra: str, modules: Sequence[str], why: str) -> Iterator[Check]:
    missing = [name for name in modules if not _is_importable(name)]
    if missing:
        detail = f"{why}, but {', '.join(missing)} is not installed"
        yield fail(AREA, f"extra {extra}", detail, f'pip install "scanguard[{extra}]"')
    else:
        yield ok(AREA, f"extra {extra}", f"installed ({why})")


def _is_importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


def judge_proxies(environ: Mapping[str, str]) -> Check:
    """Proxies that the environment names are not used; their values, which may hold passwords, are not shown."""
    found = sorted(name for name in environ if name.upper() in PROXIES and environ[name])
    if not found:
        return ok(AREA, "proxies", "none is named by the environment")
    return warn(
        AREA,
        "proxies",
        f"{', '.join(found)} set, and ignored: scanguard connects directly, so that it can check each address",
        "let scanguard reach registries and scanners directly; if they are reached already, nothing is to be done",
    )


def judge_certificate_files(environ: Mapping[str, str]) -> Iterator[Check]:
    """``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` replace the usual certificates, so they must be there."""
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    remedy = "correct or unset it"
    if file and not Path(file).is_file():
        yield fail(AREA, "SSL_CERT_FILE", f"{file} is no file, so no HTTPS connection can be made", remedy)
    if folder and not any(Path(part).is_dir() for part in folder.split(os.pathsep)):
        yield warn(AREA, "SSL_CERT_DIR", f"{folder} is no folder, so no server's certificate is believed", remedy)
