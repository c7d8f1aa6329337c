"""The function app's own small parts: what is stamped, who is signed in, where the configuration comes from."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from function_scene import principal
from scanguard_function import blob
from scanguard_function import process as process_module
from scanguard_function.configuration import load_app, refuse_references
from scanguard_function.events import document, take_in
from scanguard_function.index import STAMP_NAME, Index, stamped, write_stamp
from scanguard_function.principal import is_auth_on, signed_in
from scanguard_function.process import Process
from scanguard_function.registration import register
from scanguard_function.web import _client

from scanguard.app.intake import Intake
from scanguard.errors import ConfigError, EventError, PluginError
from scanguard.loader import load_plugins

TENANT = "11111111-2222-3333-4444-555555555555"
CONFIG = """
version: 1
backend: {plugin: azure_storage, account: acme, queue_prefix: ours-}
exclude: [/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/worker]
chains: {default: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scanguard.yaml").write_text(CONFIG)
    return tmp_path


# --- the stamp --------------------------------------------------------------------------------------------


async def test_what_was_checked_when_it_was_packed_is_not_read_again(folder: Path) -> None:
    environ = {"SCANGUARD__engine__attempts": "3", "PATH": "/bin"}
    checked = Index.of(load_app(environ, folder).bound.settings)
    write_stamp(folder, environ, checked)
    assert stamped(folder, {**environ, "PATH": "/elsewhere", "SCANGUARD_LANES": "fresh"}) == checked
    process = Process.start(environ, folder)
    assert process.index == checked
    assert process._loaded is None
    assert process.intake.excluded == checked.excluded
    assert process._loaded is None
    assert process.app.settings.engine.attempts == 3


async def test_exporters_are_loaded_after_the_first_event_and_beside_the_loop(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[threading.Thread] = []
    monkeypatch.setattr(process_module, "observe", lambda *_: begun.append(threading.current_thread()))
    monkeypatch.setattr(process_module, "OBSERVE_AFTER_S", 0.05)
    write_stamp(folder, {}, Index.of(load_app({}, folder).bound.settings))
    process = Process.start({}, folder)
    assert process.intake
    assert begun == []
    await asyncio.sleep(0.2)
    (thread,) = begun
    assert thread is not threading.current_thread()


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"SCANGUARD__engine__attempts": "4"}, id="another value"),
        pytest.param({"SCANGUARD__engine__attempts": "3", "SCANGUARD__exclude": "[]"}, id="one more"),
        pytest.param({"SCANGUARD__engine__attempts": "3", "SCANGUARD_PLUGINS": ""}, id="other plugins"),
        pytest.param({"SCANGUARD__engine__attempts": "3", "SCANGUARD_CONFIG": "{}"}, id="another configuration"),
        pytest.param({}, id="one less"),
    ],
)
def test_a_stamp_is_void_when_any_setting_differs(folder: Path, environ: Mapping[str, str]) -> None:
    write_stamp(folder, {"SCANGUARD__engine__attempts": "3"}, Index("ours-", serves_http=False))
    assert stamped(folder, environ) is None


def test_a_stamp_is_void_when_the_file_differs_or_the_stamp_is_damaged(folder: Path) -> None:
    index = Index("ours-", serves_http=False)
    write_stamp(folder, {}, index)
    assert stamped(folder, {}) == index
    for text in ("", "[]", "{}", "{", json.dumps({"inputs": json.loads((folder / STAMP_NAME).read_text())["inputs"]})):
        whole = (folder / STAMP_NAME).read_text()
        (folder / STAMP_NAME).write_text(text)
        assert stamped(folder, {}) is None
        (folder / STAMP_NAME).write_text(whole)
    (folder / "scanguard.yaml").write_text(CONFIG + "# changed\n")
    assert stamped(folder, {}) is None
    (folder / "scanguard.yaml").unlink()
    assert stamped(folder, {}) is None


# --- the configuration ------------------------------------------------------------------------------------


def test_the_configuration_is_a_packaged_file_or_an_app_setting(folder: Path) -> None:
    assert Index.of(load_app({}, folder).bound.settings) == Index(
        "ours-",
        serves_http=False,
        excluded=("/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/worker",),
    )
    text = CONFIG.replace("ours-", "theirs-")
    assert Index.of(load_app({"SCANGUARD_CONFIG": text}, folder).bound.settings).queue_prefix == "theirs-"
    other = folder / "other.yaml"
    other.write_text(text)
    assert Index.of(load_app({"SCANGUARD_CONFIG": str(other)}, folder).bound.settings).queue_prefix == "theirs-"


def test_what_cannot_work_is_told_and_never_raised(tmp_path: Path) -> None:
    process = Process.start({"SCANGUARD_CONFIG": "{version: 2, chians: {}}"}, tmp_path)
    assert process.index is None
    assert any("chians" in problem for problem in process.problems)
    assert Process.start({}, tmp_path).problems[0].startswith("there is no configuration")


def test_a_store_of_one_instance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is lost with it"):
        load_app({"SCANGUARD_CONFIG": "{version: 1, chains: {default: {}}}"}, tmp_path)


def test_a_plugin_that_is_not_packed_is_named(tmp_path: Path) -> None:
    text = "{version: 1, backend: {plugin: cellar}, chains: {default: {}}}"
    with pytest.raises((ConfigError, PluginError), match="cellar") as caught:
        load_app({"SCANGUARD_CONFIG": text}, tmp_path)
    assert caught.value


def test_only_references_that_everything_needs_keep_the_app_from_starting() -> None:
    reference = "@Microsoft.KeyVault(VaultName=v;SecretName=s)"
    refuse_references({"QUALYS_PASSWORD": reference, "SCANGUARD_CONFIG": "{}"})
    for name in ("AzureWebJobsStorage", "SCANGUARD_CONFIG", "SCANGUARD__backend__account", "SCANGUARD_CONFIG_BLOB"):
        with pytest.raises(ConfigError, match=name):
            refuse_references({name: reference})


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.blob.core.windows.net/c/s.yaml",
        "https://acme.blob.core.windows.net/c/s.yaml?sig=secret",
        "https://user:secret@acme.blob.core.windows.net/c",
        "ftp://127.0.0.1/x",
        "nothing",
    ],
)
def test_a_blob_is_named_by_a_plain_https_address(url: str) -> None:
    with pytest.raises(ConfigError, match="SCANGUARD_CONFIG_BLOB") as caught:
        blob.read_blob(url, {})
    assert "secret" not in str(caught.value)


# --- events -----------------------------------------------------------------------------------------------


def _event(**changes: Any) -> func.EventGridEvent:
    fields = {
        "id": "1",
        "topic": "/subscriptions/s",
        "subject": "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/a",
        "event_type": "Microsoft.Resources.ResourceWriteSuccess",
        "event_time": datetime(2026, 3, 1, tzinfo=UTC),
        "data": {"operationName": "Microsoft.App/containerApps/write"},
        "data_version": "2",
    }
    made: func.EventGridEvent = func.EventGridEvent(**{**fields, **changes})
    return made


def test_an_event_becomes_the_text_of_its_message() -> None:
    text = take_in(Intake(load_plugins({})), _event())
    assert text is not None
    message = json.loads(text)
    assert message["kind"] == "intake"
    assert message["lane"] == "fresh"
    assert message["body"]["event"]["resource_id"].endswith("/containerApps/a")


def test_an_event_of_an_excluded_resource_becomes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    own = str(document(_event())["subject"])
    caplog.set_level("INFO")
    assert take_in(Intake(load_plugins({}), (own.upper(),)), _event()) is None
    assert "excluded by the configuration" in caplog.text


def test_a_broken_event_is_left_to_event_grid() -> None:
    with pytest.raises(EventError, match="names no Azure resource"):
        take_in(Intake(load_plugins({})), _event(subject="x"))


# --- who asks ---------------------------------------------------------------------------------------------


def test_a_person_of_the_tenant_may_do_what_their_app_roles_say() -> None:
    reader = signed_in(principal({"tid": TENANT.upper(), "oid": "o-1", "roles": ["scanguard.read", "other"]}), TENANT)
    assert reader is not None
    assert reader.name == "person o-1"
    assert reader.allow == {"read"}
    long = "http://schemas.microsoft.com/identity/claims/"
    claims: dict[str, str | list[str]] = {
        f"{long}tenantid": TENANT,
        f"{long}objectidentifier": "o",
        "roles": "scanguard.replay",
    }
    other = signed_in(principal(claims), TENANT)
    assert other is not None
    assert other.allow == {"read", "replay"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%%%",
        "W10=",
        "bnVsbA==",
        principal({"oid": "o", "roles": ["scanguard.read"]}),
        principal({"tid": "another", "roles": ["scanguard.read"]}),
        principal({"tid": TENANT, "roles": ["scanguard.read"]}, kind="google"),
        "A" * 40_000,
    ],
)
def test_nobody_else_is_believed(text: str) -> None:
    assert signed_in(text, TENANT) is None


def test_the_platform_is_believed_only_where_it_says_that_sign_in_is_on() -> None:
    assert is_auth_on({"WEBSITE_AUTH_ENABLED": "True"})
    for value in ("", "False", "0", "yes"):
        assert not is_auth_on({"WEBSITE_AUTH_ENABLED": value})
    assert not is_auth_on({})


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("203.0.113.7:5000", "203.0.113.7"),
        ("forged, 203.0.113.7:5000", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("", ""),
    ],
)
def test_a_client_is_who_the_front_end_saw(header: str, client: str) -> None:
    assert _client({"x-forwarded-for": header}) == client


# --- which functions there are ----------------------------------------------------------------------------


def _names(process: Process, environ: Mapping[str, str]) -> set[str]:
    app = func.FunctionApp()
    register(app, process, environ)
    return {str(one.get_function_name()) for one in app.get_functions()}


def test_the_heavy_lane_is_served_only_where_it_is_asked_for() -> None:
    process = Process(Index("ours-", serves_http=False))
    usual = {"Health", "EventProcessor", "FreshLane", "FreshPoison", "BulkLane", "BulkPoison", "Sweeps", "Approvals"}
    assert _names(process, {}) == usual
    assert _names(process, {"SCANGUARD_LANES": "fresh, bulk,heavy"}) == usual | {"HeavyLane", "HeavyPoison"}


def test_an_unknown_lane_is_told() -> None:
    environ = {"SCANGUARD_CONFIG": CONFIG, "SCANGUARD_LANES": "fresh,bulky"}
    assert "bulky" in Process.start(environ, Path("nowhere")).problems[0]


def test_http_is_served_only_where_somebody_has_to_show_something() -> None:
    served = _names(Process(Index("ours-", serves_http=True)), {}) - _names(Process(Index("o", serves_http=False)), {})
    assert served == {"Events", "Reports", "Replay"}
    assert _names(Process(None, ("broken",)), {}) == {"Health"}
