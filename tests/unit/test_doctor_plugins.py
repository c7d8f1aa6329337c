"""Plugins, secrets, scanners, notifiers and platforms, as good and as bad as plugins can be."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from examining import built_ins, examined, of_area, with_candidates, with_records
from pydantic import SecretStr

from scanguard.doctor import Check, Status
from scanguard.doctor.object_checks import DATABASE_AGE
from scanguard.doctor.report import examination_json
from scanguard.errors import NotifyError, ScannerAuthError, ScannerUnavailableError, SecretError
from scanguard.hooks import NotifierSpec, PluginConfig, PluginContext, ScannerSpec, SecretStoreSpec
from scanguard.loader import Candidate, Plugins
from scanguard.model.report import ScannerInfo
from scanguard.model.secret import SecretRef
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

CANARY = "c4n4ry-of-the-doctor"


class Options(PluginConfig):
    token: SecretRef | None = None
    nested: dict[str, list[SecretRef]] | None = None


class Scripted:
    """A scanner, notifier or store whose answers a test sets."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.closed = 0

    async def info(self) -> Any:
        return await self._answer("info", ScannerInfo(tool="tested", version="1.2"))

    async def resolve(self, locator: str) -> Any:
        return await self._answer("resolve", SecretStr(CANARY))

    async def aclose(self) -> None:
        self.closed += 1

    async def _answer(self, name: str, default: object = None) -> Any:
        answer = self.answers.get(name, default)
        return await answer() if callable(answer) else answer


class Checking(Scripted):
    async def check(self) -> Any:
        return await self._answer("check")


def raising(error: BaseException) -> Callable[[], Any]:
    async def answer() -> None:
        raise error

    return answer


async def asleep() -> None:
    await asyncio.sleep(3600)


def scanner(built: object, name: str = "tested") -> Callable[[Mapping[str, str]], Plugins]:
    return with_records(scanners={name: ScannerSpec(name, Options, lambda config, context: built)})  # type: ignore[arg-type, return-value]  # whatever a test builds


CONFIG = "version: 1\ninstances: {one: {plugin: tested}}\nchains: {default: {scanners: [one]}}\n"
NOTIFYING = "version: 1\ninstances: {one: {plugin: tested}}\nchains: {default: {notifiers: [{use: one}]}}\n"


async def scanners_of(folder: Path, built: object) -> Check:
    return of_area(await examined(folder, CONFIG, areas=["scanners"], load=scanner(built)), "scanners")["one"]


# --- scanners -------------------------------------------------------------------------------------------------


async def test_a_scanner_tells_its_tool_and_is_closed(tmp_path: Path) -> None:
    built = Checking()
    check = await scanners_of(tmp_path, built)
    assert (check.status, check.detail, built.closed) == (Status.OK, "tested 1.2", 1)


@pytest.mark.parametrize(
    ("age", "status"),
    [
        pytest.param(DATABASE_AGE - timedelta(hours=1), Status.OK, id="fresh"),
        pytest.param(DATABASE_AGE + timedelta(days=2), Status.WARN, id="old"),
    ],
)
async def test_an_old_vulnerability_database_warns(tmp_path: Path, age: timedelta, status: Status) -> None:
    updated = datetime.now(UTC) - age
    info = ScannerInfo(tool="tested", version="1", database="db", database_updated_at=updated)
    check = await scanners_of(tmp_path, Scripted(info=info))
    assert check.status is status
    assert f"db of {updated:%Y-%m-%d}" in check.detail


@pytest.mark.parametrize(
    ("answers", "told", "remedy"),
    [
        pytest.param(
            {"info": raising(ScannerUnavailableError("no program"))}, "no program", "service or program", id="info"
        ),
        pytest.param({"check": raising(ScannerAuthError("refused"))}, "refused", "credentials", id="check"),
        pytest.param({"info": raising(KeyError(CANARY))}, "raised KeyError", "fault of the plugin", id="foreign error"),
        pytest.param({"info": "a text"}, "with a str", "fault of the plugin", id="wrong type"),
        pytest.param({"check": raising(asyncio.CancelledError())}, "cancelled itself", "fault", id="cancels itself"),
    ],
)
async def test_a_scanner_that_cannot_work_fails(
    tmp_path: Path, answers: Mapping[str, Any], told: str, remedy: str
) -> None:
    built = Checking(**answers)
    check = await scanners_of(tmp_path, built)
    assert check.status is Status.FAIL
    assert told in check.detail
    assert remedy in check.remedy
    assert CANARY not in check.detail
    assert built.closed == 1


async def test_a_check_that_is_not_async_is_a_fault_of_the_plugin(tmp_path: Path) -> None:
    class Wrong(Scripted):
        def check(self) -> None:
            raise AssertionError("called")

    check = await scanners_of(tmp_path, Wrong())
    assert check.status is Status.FAIL
    assert "no async method" in check.detail


async def test_a_scanner_that_cannot_be_built_fails_and_hides_no_other(tmp_path: Path) -> None:
    def broken(config: object, context: PluginContext) -> Any:
        raise ZeroDivisionError(CANARY)

    load = with_records(
        scanners={
            "broken": ScannerSpec("broken", Options, broken),
            "tested": ScannerSpec("tested", Options, lambda config, context: Scripted()),  # type: ignore[arg-type, return-value]  # as far as it is used
        }
    )
    config = CONFIG.replace("}\nchains", ", two: {plugin: broken}}\nchains")
    checks = of_area(await examined(tmp_path, config, areas=["scanners"], load=load), "scanners")
    assert checks["one"].status is Status.OK
    assert checks["two"].status is Status.FAIL
    assert "ZeroDivisionError" in checks["two"].detail
    assert CANARY not in repr(checks)


async def test_a_scanner_that_hangs_is_given_up_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanguard.doctor.object_checks.INFO_TIMEOUT_S", 0.2)
    check = await scanners_of(tmp_path, Scripted(info=asleep))
    assert check.status is Status.FAIL
    assert "did not finish info" in check.detail


# --- notifiers, platforms -------------------------------------------------------------------------------------


def notifier(built: object) -> Callable[[Mapping[str, str]], Plugins]:
    return with_records(notifiers={"tested": NotifierSpec("tested", Options, lambda config, context: built)})  # type: ignore[arg-type, return-value]  # whatever a test builds


@pytest.mark.parametrize(
    ("built", "status", "told"),
    [
        pytest.param(Scripted(), Status.SKIPPED, "not checked: the plugin offers no check", id="no check"),
        pytest.param(Checking(), Status.OK, "its own check passes", id="passes"),
        pytest.param(Checking(check=raising(NotifyError("no such room"))), Status.FAIL, "no such room", id="fails"),
    ],
)
async def test_a_notifier_is_asked_for_its_check_and_never_sent_anything(
    tmp_path: Path, built: object, status: Status, told: str
) -> None:
    examination = await examined(tmp_path, NOTIFYING, areas=["delivery"], load=notifier(built))
    check = of_area(examination, "delivery")["notifier one"]
    assert check.status is status
    assert told in check.detail


async def test_the_built_in_plugins_check_their_files_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder is due")
    config = f"""
version: 1
instances:
  files: {{plugin: json_files, folder: {tmp_path / "blocked"}}}
  places: {{plugin: static, file: missing.yaml}}
  hook: {{plugin: webhook, url: "http://127.0.0.1:9/", secrets: ["env:NO_SUCH_VARIABLE"]}}
chains: {{default: {{sinks: [files], notifiers: [{{use: hook}}]}}}}
"""
    examination = await examined(tmp_path, config, areas=["delivery", "platforms"])
    checks = {check.subject: check for check in examination.checks}
    assert {subject: check.status for subject, check in checks.items()} == {
        "sink files": Status.FAIL,
        "notifier hook": Status.FAIL,
        "places": Status.FAIL,
    }
    assert "missing.yaml" in checks["places"].detail
    assert "env:NO_SUCH_VARIABLE" in checks["notifier hook"].detail


async def test_the_webhook_is_checked_without_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: ReceivedRequest) -> Answer:
        return Answer(202)

    monkeypatch.setenv("HOOK_KEY", "whsec_" + base64.b64encode(b"the key of these tests..").decode())
    async with LoopbackServer(answer) as server:
        config = f"""
version: 1
instances: {{hook: {{plugin: webhook, url: "{server.url}/hook", secrets: ["env:HOOK_KEY"]}}}}
chains: {{default: {{notifiers: [{{use: hook}}]}}}}
"""
        examination = await examined(tmp_path, config, areas=["delivery"])
        assert server.requests == []
    assert of_area(examination, "delivery")["notifier hook"].status is Status.OK


# --- secrets --------------------------------------------------------------------------------------------------


SECRETS = """
version: 1
instances: {one: {plugin: tested, token: "vault:good", nested: {keys: ["vault:good", "env:NO_SUCH_VARIABLE"]}}}
chains: {default: {scanners: [one]}}
server: {keys: ["nowhere:x"]}
"""


def vault(store: object, built: object | None = None) -> Callable[[Mapping[str, str]], Plugins]:
    return with_records(
        secret_stores={"vault": SecretStoreSpec("vault", lambda config, context: store)},  # type: ignore[arg-type, return-value]  # whatever a test builds
        scanners={"tested": ScannerSpec("tested", Options, lambda config, context: built or Scripted())},  # type: ignore[arg-type, return-value]  # as above
    )


async def test_each_secret_is_resolved_once_named_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    examination = await examined(tmp_path, SECRETS, load=vault(Scripted()))
    checks = of_area(examination, "secrets")
    assert {subject: check.status for subject, check in checks.items()} == {
        "vault:good": Status.OK,
        "env:NO_SUCH_VARIABLE": Status.FAIL,
        "nowhere:x": Status.FAIL,
    }
    assert checks["vault:good"].detail == "resolves (used by instances.one.token, instances.one.nested.keys.0)"
    assert "nothing resolves nowhere:x" in checks["nowhere:x"].detail
    said = examination_json(examination, version="1", now=datetime.now(UTC)) + caplog.text
    assert CANARY not in said
    assert str(len(CANARY)) not in checks["vault:good"].detail


async def test_a_scanner_that_tells_its_secret_is_silenced(tmp_path: Path) -> None:
    class Gossip(Checking):
        context: PluginContext

        async def check(self) -> None:
            value = (await self.context.secret(SecretRef("vault:good"))).get_secret_value()
            raise ScannerAuthError(f"the service refuses {value} and {json.dumps(value)}")

    gossip = Gossip()

    def build(config: object, context: PluginContext) -> Any:
        gossip.context = context
        return gossip

    load = with_records(
        secret_stores={"vault": SecretStoreSpec("vault", lambda config, context: Scripted())},
        scanners={"tested": ScannerSpec("tested", Options, build)},
    )
    examination = await examined(tmp_path, SECRETS, load=load)
    check = of_area(examination, "scanners")["one"]
    assert check.status is Status.FAIL
    assert CANARY not in repr(examination)
    assert "the service refuses ***" in check.detail


async def test_a_secret_store_with_a_check_of_its_own_is_asked(tmp_path: Path) -> None:
    store = Checking(check=raising(SecretError("no identity")))
    checks = of_area(await examined(tmp_path, SECRETS, areas=["secrets"], load=vault(store)), "secrets")
    assert checks["store vault"].status is Status.FAIL
    assert checks["store vault"].detail == "no identity"
    assert "store env" not in checks


# --- plugins --------------------------------------------------------------------------------------------------


def candidate(name: str, **attributes: object) -> Candidate:
    module = ModuleType(f"scanguard_{name}")
    for key, value in attributes.items():
        setattr(module, key, value)
    return Candidate(name, module.__name__, lambda: module, f"scanguard-{name}", "0.9")


def failing(name: str) -> Candidate:
    return Candidate(name, f"scanguard_{name}", lambda: import_module("no_such_module"), f"scanguard-{name}", "0.9")


async def plugins_of(folder: Path, config: str, *candidates: Candidate, **environ: str) -> dict[str, Check]:
    examination = await examined(
        folder, config, areas=["plugins"], load=with_candidates(*candidates), environ=dict(environ)
    )
    return of_area(examination, "plugins")


async def test_plugins_are_told_with_version_origin_and_offers(tmp_path: Path) -> None:
    checks = await plugins_of(tmp_path, CONFIG, candidate("good", scanguard_api_version=1))
    assert checks["good"].detail == "0.9 from scanguard-good: offers nothing"
    assert "sink json_files" in checks["built-in"].detail


@pytest.mark.parametrize(
    ("name", "status"),
    [pytest.param("tested", Status.FAIL, id="configured"), pytest.param("other", Status.WARN, id="not configured")],
)
async def test_a_plugin_that_cannot_be_imported_fails_only_where_it_is_needed(
    tmp_path: Path, name: str, status: Status
) -> None:
    check = (await plugins_of(tmp_path, CONFIG, failing(name)))[name]
    assert check.status is status
    assert "No module named 'no_such_module'" in check.detail
    assert f"SCANGUARD_PLUGINS_BLOCKED={name}" in check.remedy


async def test_a_blocked_plugin_fails_only_where_it_is_needed(tmp_path: Path) -> None:
    blocked = {"SCANGUARD_PLUGINS_BLOCKED": "tested,other"}
    checks = await plugins_of(tmp_path, CONFIG, candidate("tested"), candidate("other"), **blocked)
    assert checks["tested"].status is Status.FAIL
    assert checks["other"].status is Status.SKIPPED


async def test_a_configured_plugin_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    config = "version: 1\ninstances: {a: {plugin: osv}, b: {plugin: jsonfiles}}\nchains: {default: {}}\n"
    checks = await plugins_of(tmp_path, config)
    assert checks["osv"].status is Status.FAIL
    assert checks["osv"].remedy == 'pip install "scanguard[osv]"'
    assert 'did you mean "json_files"?' in checks["jsonfiles"].remedy


async def test_two_plugins_of_one_name_are_told(tmp_path: Path) -> None:
    def offers() -> list[ScannerSpec]:
        return [ScannerSpec("tested", Options, lambda config, context: Scripted())]  # type: ignore[arg-type, return-value]  # never built

    from scanguard.hooks import hookimpl  # noqa: PLC0415  # marks the function of this test alone

    hook = hookimpl(specname="scanguard_scanners")(offers)
    both = [candidate(name, scanguard_api_version=1, scanguard_scanners=hook) for name in ("first", "second")]
    check = (await plugins_of(tmp_path, CONFIG, *both))["scanner tested"]
    assert check.status is Status.FAIL
    assert "first and second both offer it" in check.detail


async def test_plugins_that_cannot_be_loaded_at_all_hide_nothing_else(tmp_path: Path) -> None:
    def load(environ: Mapping[str, str]) -> Plugins:
        raise ZeroDivisionError(CANARY)

    examination = await examined(tmp_path, CONFIG, load=load)
    assert of_area(examination, "plugins")["loading"].status is Status.FAIL
    assert of_area(examination, "scanners")["all"].status is Status.SKIPPED
    assert of_area(examination, "data")["folder"].status is Status.OK
    assert of_area(examination, "configuration")["files"].status is Status.OK
    assert CANARY not in repr(examination)


def test_the_loader_of_these_tests_has_the_built_ins() -> None:
    assert "json_files" in built_ins({}).catalog.sinks
