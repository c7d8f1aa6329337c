"""Users and passwords of registries by configuration; options of secret stores and of registry credentials."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from examining import examined, of_area, with_records
from pydantic import SecretStr, ValidationError

from scanguard.app import App, AppOptions
from scanguard.doctor import Status
from scanguard.errors import (
    ConfigError,
    RegistryAuthError,
    RegistryError,
    RegistryUnavailableError,
    SecretError,
    SecretUnavailableError,
)
from scanguard.hooks import PluginConfig, RegistryCredentialSpec, SecretStoreSpec
from scanguard.model.secret import SecretRef
from scanguard.oci.configured import ConfiguredCredentials
from scanguard.oci.settings import RegistrySettings
from scanguard.telemetry.secrets import hide

CANARY = "canary-of-a-registry"
PLUGIN = """
from pydantic import SecretStr
from scanguard import (PluginConfig, RegistryCredential, RegistryCredentialSpec, SecretStoreSpec, hookimpl)

scanguard_api_version = 1
CLOSED = []

class Options(PluginConfig):
    prefix: str = "plain"

class Acme:
    def __init__(self, config, context):
        self.config, self.context = config, context

    async def resolve(self, locator):
        return SecretStr(f"{self.config.prefix}-{locator}-{self.context.instance}")

    async def credential(self, registry):
        return RegistryCredential("acme", SecretStr(f"{self.config.prefix}-{registry}"))

    async def aclose(self):
        CLOSED.append(self.context.instance)

@hookimpl
def scanguard_secret_stores():
    yield SecretStoreSpec(name="acme", config=Options, build=Acme)

@hookimpl
def scanguard_registry_credentials():
    yield RegistryCredentialSpec(name="acme_registries", config=Options, build=Acme, priority=1)
"""


def settings(**logins: object) -> RegistrySettings:
    return RegistrySettings.model_validate({"credentials": {key.replace("_", "."): one for key, one in logins.items()}})


CHAINS = "chains: {default: {scanners: [], policies: [{plugin: threshold}]}}\n"
BOT = {"username": "bot", "password": "env:GHCR"}


# --- registries.credentials -------------------------------------------------------------------------------------


async def test_a_registry_is_given_its_own_login_and_no_other_registry_is() -> None:
    asked: list[str] = []

    async def secret(reference: SecretRef) -> SecretStr:
        asked.append(str(reference))
        return SecretStr(f"{CANARY}-{len(asked)}")

    source = ConfiguredCredentials(settings(ghcr_io=BOT).credentials, secret)
    for other in ("docker.io", "ghcr.io.evil.example", "evil.example", "ghcr.io:443", "a.ghcr.io"):
        assert await source.credential(other) is None
    assert asked == []
    found = [await source.credential("ghcr.io") for _ in range(2)]
    values = [one.password.get_secret_value() for one in found if one is not None and one.password is not None]
    assert values == [f"{CANARY}-1", f"{CANARY}-2"], "a new password is used at once"
    assert CANARY not in repr((source, found))


def test_every_name_of_docker_hub_is_one_registry() -> None:
    assert list(settings(index_docker_io=BOT).credentials) == ["docker.io"]
    with pytest.raises(ValidationError, match="two of these names mean one registry"):
        settings(index_docker_io=BOT, docker_io=BOT)


@pytest.mark.parametrize(
    "login",
    [
        pytest.param({"username": "bot", "password": CANARY}, id="a-password-by-value"),
        pytest.param({"username": "bot:" + CANARY, "password": "env:X"}, id="a-user-with-a-colon"),
        pytest.param({"username": "", "password": "env:X"}, id="no-user"),
        pytest.param({"username": "bot"}, id="no-password"),
        pytest.param({**BOT, "token": "env:X"}, id="unknown-key"),
    ],
)
def test_a_login_that_cannot_be_used_is_refused_before_any_work_and_not_shown(tmp_path: Path, login: object) -> None:
    config = tmp_path / "scanguard.yaml"
    config.write_text(f"version: 1\nregistries: {{credentials: {{ghcr.io: {login!r}}}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        App.load(AppOptions(config=(config,), data_dir=tmp_path / "data", environ={}))
    assert "registries.credentials.ghcr.io" in caught.value.problems[0]
    assert CANARY not in f"{caught.value} {caught.value.problems}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(SecretError("no such secret"), RegistryAuthError, id="missing"),
        pytest.param(
            SecretUnavailableError("the vault is down", retry_after_s=9), RegistryUnavailableError, id="not-now"
        ),
    ],
)
async def test_a_password_that_cannot_be_had_is_an_error_of_the_registry_and_never_a_stranger(
    error: SecretError, kind: type[RegistryError]
) -> None:
    async def secret(reference: SecretRef) -> SecretStr:
        raise error

    with pytest.raises(RegistryError) as caught:
        await ConfiguredCredentials(settings(ghcr_io=BOT).credentials, secret).credential("ghcr.io")
    assert type(caught.value) is kind
    assert error.message in caught.value.message
    assert caught.value.target == "ghcr.io"
    assert caught.value.retry_after_s == error.retry_after_s


# --- options of stores and sources ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "scanguard_acme_vault.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("scanguard_acme_vault", None)


def load(folder: Path, config: str) -> App:
    path = folder / "scanguard.yaml"
    chains = "" if "chains:" in config else CHAINS
    path.write_text(textwrap.dedent(config) + chains, encoding="utf-8")
    environ = {"SCANGUARD_PLUGINS": "scanguard_acme_vault"}
    return App.load(AppOptions(config=(path,), data_dir=folder / "data", environ=environ))


async def secret_of(app: App, reference: str) -> str:
    value: SecretStr = await app.plugin_context("anybody").secret(SecretRef(reference))
    return value.get_secret_value()


async def test_a_store_has_the_options_of_its_instance_or_its_defaults(folder: Path) -> None:
    async with load(folder, "version: 1\n") as app:
        assert await secret_of(app, "acme:x") == "plain-x-acme"
    config = "version: 1\ninstances: {ours: {plugin: acme, prefix: own}}\n"
    async with load(folder, config) as app:
        assert await secret_of(app, "acme:x") == "own-x-ours"
    assert sys.modules["scanguard_acme_vault"].CLOSED == ["acme", "ours"]


async def test_a_source_of_credentials_has_options_comes_after_the_configured_logins_and_is_kept_out_of_logs(
    folder: Path,
) -> None:
    config = """\
    version: 1
    instances: {ours: {plugin: acme_registries, prefix: canary}}
    registries: {credentials: {ghcr.io: {username: bot, password: "acme:ghcr"}}}
    """
    async with load(folder, config) as app:
        credentials = app.plugin_context("anybody").images._credentials
        assert credentials is not None
        mine, other = [await credentials.credential(registry) for registry in ("ghcr.io", "r.example")]
    assert mine is not None
    assert (mine.username, mine.password) == ("bot", SecretStr("plain-ghcr-acme"))
    assert other is not None
    assert (other.username, other.password) == ("acme", SecretStr("canary-r.example"))
    assert hide("it said canary-r.example and plain-ghcr-acme") == "it said *** and ***"


@pytest.mark.parametrize(
    ("instances", "says"),
    [
        pytest.param("{one: {plugin: acme}, two: {plugin: acme}}", "acme has one instance at most", id="two"),
        pytest.param("{one: {plugin: acme, prefx: x}}", 'did you mean "prefix"?', id="unknown-option"),
        pytest.param("{one: {plugin: acme, quota: 3/h}}", "have quota, and acme is none", id="quota"),
    ],
)
def test_wrong_options_of_a_store_stop_the_start(folder: Path, instances: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, f"version: 1\ninstances: {instances}\n")
    assert any(says in line for line in caught.value.problems)


def test_a_store_is_no_scanner(folder: Path) -> None:
    config = "version: 1\ninstances: {one: {plugin: acme}}\nchains: {default: {scanners: [one]}}\n"
    with pytest.raises(ConfigError) as caught:
        load(folder, config)
    assert "the instance 'one' is a secret store (plugin acme), not a scanner" in caught.value.problems[0]


async def test_the_doctor_looks_at_the_passwords_of_registries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("GHCR", CANARY)
    config = """\
version: 1
registries:
  credentials:
    ghcr.io: {username: bot, password: env:GHCR}
    r.example: {username: bot, password: env:NO_SUCH_VARIABLE}
"""
    checks = of_area(await examined(tmp_path, config, areas=["secrets"]), "secrets")
    assert checks["env:GHCR"].status is Status.OK
    assert checks["env:GHCR"].detail == "resolves (used by registries.credentials.ghcr.io.password)"
    assert checks["env:NO_SUCH_VARIABLE"].status is Status.FAIL
    assert CANARY not in f"{checks}{caplog.text}"


async def test_the_doctor_asks_a_store_with_the_options_of_its_instance(tmp_path: Path) -> None:
    class Options(PluginConfig):
        door: str = "closed"

    class Store:
        def __init__(self, config: Options, context: object) -> None:
            self._config = config

        async def resolve(self, locator: str) -> SecretStr:
            return SecretStr(CANARY)

        async def check(self) -> None:
            raise SecretError(f"the door is {self._config.door}")

        async def credential(self, registry: str) -> None:
            return None

    load = with_records(
        secret_stores={"vault": SecretStoreSpec("vault", Store, config=Options)},
        registry_credentials={"cloud": RegistryCredentialSpec("cloud", Store, config=Options)},
    )
    config = f"""\
version: 1
instances: {{one: {{plugin: vault, door: open}}, two: {{plugin: cloud}}}}
registries: {{credentials: {{r.example: {{username: bot, password: "vault:x"}}}}}}
{CHAINS}"""
    examination = await examined(tmp_path, config, areas=["secrets", "scanners", "delivery", "platforms"], load=load)
    checks = of_area(examination, "secrets")
    assert checks["vault:x"].status is Status.OK
    assert checks["store vault"].detail == "the door is open"
    assert CANARY not in f"{examination}"
