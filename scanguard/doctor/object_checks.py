"""Areas ``scanners``, ``delivery`` and ``platforms``: each configured object is built and asked how it is.

A scanner answers ``info``. Any object may offer ``async def check(self) -> None``, which raises the reason why it
cannot work; nothing is scanned, written or sent to find out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Final

from scanguard.doctor.check import Check, fail, ok, skipped, warn
from scanguard.doctor.host import DoctorHost
from scanguard.doctor.remedies import remedy_for
from scanguard.engine.guard import call_plugin
from scanguard.errors import (
    NotifyError,
    PlatformError,
    PluginContractError,
    ScanguardError,
    ScannerUnavailableError,
    SecretError,
    SinkError,
    SweepError,
)
from scanguard.model.report import ScannerInfo
from scanguard.render.text import span_of
from scanguard.settings.bind import BoundInstance

AREAS_BY_KIND: Final = {
    "scanner": "scanners",
    "sink": "delivery",
    "notifier": "delivery",
    "platform": "platforms",
    "sweep": "platforms",
}
INFO_TIMEOUT_S: Final = 8.0
CHECK_TIMEOUT_S: Final = 8.0
CLOSE_TIMEOUT_S: Final = 2.0
DATABASE_AGE: Final = timedelta(days=7)
"""An older vulnerability database is told: what became known since is not found."""
_TIMEOUT_ERRORS: Final[dict[str, type[ScanguardError]]] = {
    "scanner": ScannerUnavailableError,
    "sink": SinkError,
    "notifier": NotifyError,
    "platform": PlatformError,
    "sweep": SweepError,
    "secret store": SecretError,
}


async def check_instance(make: Callable[[], DoctorHost], kind: str, bound: BoundInstance) -> list[Check]:
    """Build one object of an instance and ask it."""
    area, subject = AREAS_BY_KIND[kind], f"{kind} {bound.name}" if kind in {"sink", "notifier", "sweep"} else bound.name
    host = make()
    try:
        spec = bound.specs[kind]
        built = _built(lambda: spec.build(bound.config, host.context(bound.name, bound.plugin)), kind, bound.name)
        try:
            found = [await _information(area, subject, built, host.clock.now())] if kind == "scanner" else []
            said = await ask_check(built, kind, bound.name)
        finally:
            await _closed(built, bound.name)
    except ScanguardError as exc:
        return [fail(area, subject, exc.message, remedy_for(exc))]
    finally:
        await host.aclose()
    if said:
        return found or [ok(area, subject, f"its own check passes (plugin {bound.plugin})")]
    return found or [skipped(area, subject, "not checked: the plugin offers no check")]


async def check_store(make: Callable[[], DoctorHost], scheme: str) -> list[Check]:
    """Ask a secret store that offers a check; of others, their references are the check."""
    host = make()
    try:
        spec = host.catalog.secret_stores.get(scheme)
        if spec is None:
            return []
        store = _built(lambda: host.build_single("secret store", spec), "secret store", scheme)
        try:
            said = await ask_check(store, "secret store", scheme)
        finally:
            await _closed(store, scheme)
    except ScanguardError as exc:
        return [fail("secrets", f"store {scheme}", exc.message, remedy_for(exc))]
    finally:
        await host.aclose()
    return [ok("secrets", f"store {scheme}", "its own check passes")] if said else []


async def ask_check(built: object, kind: str, name: str) -> bool:
    """Call the object's ``check``; False when it offers none, its own ScanguardError when it cannot work."""
    check = getattr(built, "check", None)
    if check is None:
        return False
    if not inspect.iscoroutinefunction(check):
        raise PluginContractError(f"{name} has a check that is no async method", plugin=name)
    await call_plugin(
        check(),
        plugin=name,
        what="check",
        timeout_s=CHECK_TIMEOUT_S,
        timeout_error=_TIMEOUT_ERRORS[kind],
        returns=type(None),
    )
    return True


async def _information(area: str, subject: str, scanner: Any, now: datetime) -> Check:  # noqa: ANN401  # a plugin's
    info = await call_plugin(
        _awaited(scanner.info),
        plugin=subject,
        what="info",
        timeout_s=INFO_TIMEOUT_S,
        timeout_error=ScannerUnavailableError,
        returns=ScannerInfo,
    )
    return judge_information(area, subject, info, now)


def judge_information(area: str, subject: str, info: ScannerInfo, now: datetime) -> Check:
    """Tool, version, database; an old database is a warning."""
    detail = f"{info.tool} {info.version}" + (f", {info.database}" if info.database else "")
    if info.database_updated_at is None:
        return ok(area, subject, detail)
    age = now - info.database_updated_at
    detail = f"{detail} of {info.database_updated_at:%Y-%m-%d} ({span_of(age)} old)"
    if age <= DATABASE_AGE:
        return ok(area, subject, detail)
    remedy = "update the scanner's database (the plugin's page says how): what became known since is not found"
    return warn(area, subject, f"{detail}: older than {span_of(DATABASE_AGE)}", remedy)


def _built(build: Callable[[], Any], kind: str, name: str) -> Any:  # noqa: ANN401  # a plugin's own object
    try:
        return build()
    except ScanguardError:
        raise
    except Exception as exc:
        raise PluginContractError(
            f"building the {kind} {name!r} raised {type(exc).__name__}, which its contract forbids", plugin=name
        ) from exc


async def _closed(built: object, name: str) -> None:
    close: Callable[[], Coroutine[Any, Any, None]] | None = getattr(built, "aclose", None)
    if close is not None:
        await call_plugin(
            _awaited(close),
            plugin=name,
            what="aclose",
            timeout_s=CLOSE_TIMEOUT_S,
            timeout_error=PluginContractError,
            returns=type(None),
        )


async def _awaited(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401  # checked by the caller
    return await call()
