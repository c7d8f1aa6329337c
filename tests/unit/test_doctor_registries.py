"""Registries that work, hang, refuse, or show a bad certificate; and clocks, which are read off their answers."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme
from examining import examined, of_area

from scanguard.doctor import Check, Status
from scanguard.doctor.clock_checks import judge_skew
from scanguard.doctor.host import ServerTime
from scanguard.doctor.registry_checks import named_registries
from scanguard.oci.settings import RegistrySettings
from scanguard.testing.registry import FakeRegistry, always, error
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

CHAINS = "version: 1\nchains: {default: {}}\n"


@pytest.fixture(autouse=True)
def logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Nobody is logged in anywhere, until a test says so."""
    folder = tmp_path / "docker"
    folder.mkdir()
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))

    def log_in(host: str, known_by: str = "canary-password", identity_token: str = "") -> None:
        entry = {"auth": base64.b64encode(f"robot:{known_by}".encode()).decode()}
        if identity_token:
            entry["identitytoken"] = identity_token
        (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))

    return log_in


def insecure(registry: FakeRegistry | LoopbackServer, timeout_s: float = 5) -> str:
    return f"{CHAINS}registries: {{insecure: ['{registry.host}'], timeout_s: {timeout_s}}}\n"


async def registries_of(folder: Path, config: str, *asked: str) -> dict[str, Check]:
    examination = await examined(folder, config, areas=["registries"], registries=asked)
    assert "canary" not in repr(examination)
    return of_area(examination, "registries")


# --- credentials ----------------------------------------------------------------------------------------------


async def test_a_registry_that_wants_no_credentials_is_good(tmp_path: Path) -> None:
    async with FakeRegistry() as registry:
        check = (await registries_of(tmp_path, insecure(registry)))[registry.host]
    assert (check.status, [one.target for one in registry.requests]) == (Status.OK, ["/v2/"])
    assert "wants no credentials" in check.detail


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_credentials_that_are_accepted_are_good_and_name_no_image(
    tmp_path: Path, logins: Callable[..., None], auth: str
) -> None:
    async with FakeRegistry(auth=auth) as registry:  # type: ignore[arg-type]  # one of its literals
        # A token of real registries opens /v2/ whatever its scope; this one's are for one repository each.
        registry.faults.append(lambda request: Answer(200) if "canary-token" in str(request.headers) else None)
        logins(registry.host)
        check = (await registries_of(tmp_path, insecure(registry)))[registry.host]
    assert check.status is Status.OK
    assert "accepts the configured credentials" in check.detail
    assert not any("scope=repository" in request.target for request in registry.requests)
    assert not any("/manifests/" in request.target for request in registry.requests)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_credentials_that_are_refused_fail(tmp_path: Path, logins: Callable[..., None], auth: str) -> None:
    async with FakeRegistry(auth=auth) as registry:  # type: ignore[arg-type]  # one of its literals
        logins(registry.host, "canary-wrong")
        check = (await registries_of(tmp_path, insecure(registry)))[registry.host]
    assert check.status is Status.FAIL
    assert "401" in check.detail
    assert f"docker login {registry.host}" in check.remedy


async def test_a_registry_that_wants_credentials_where_there_are_none_warns(tmp_path: Path) -> None:
    async with FakeRegistry(auth="basic") as registry:
        check = (await registries_of(tmp_path, insecure(registry)))[registry.host]
    assert check.status is Status.WARN
    assert "none are configured" in check.detail


async def test_a_registry_that_lets_anonymous_readers_in_is_good(tmp_path: Path) -> None:
    async with FakeRegistry(auth="bearer") as registry:
        check = (await registries_of(tmp_path, insecure(registry)))[registry.host]
    assert check.status is Status.OK
    assert "anonymous" in check.detail


async def test_an_identity_token_that_is_refused_without_a_repository_only_warns(
    tmp_path: Path, logins: Callable[..., None]
) -> None:
    async with FakeRegistry(auth="bearer") as registry:
        registry.faults.append(always("/token", lambda: error(400, "SCOPE_MISSING"), method="POST"))
        logins(registry.host, identity_token="canary-identity-token")
        check = (await registries_of(tmp_path, insecure(registry)))[registry.host]
    assert check.status is Status.WARN
    assert "scanguard scan" in check.remedy


async def test_a_broken_login_file_fails_and_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "docker" / "config.json").write_text("canary {")
    async with FakeRegistry(auth="basic") as registry:
        check = (await registries_of(tmp_path, insecure(registry)))[registry.host]
    assert check.status is Status.FAIL
    assert "config.json is not readable as JSON" in check.detail


# --- the way there --------------------------------------------------------------------------------------------


async def hanging(request: ReceivedRequest) -> Answer:
    return Answer(delay_s=3600)


async def test_a_registry_that_hangs_fails_in_time_and_hides_no_other(tmp_path: Path) -> None:
    async with LoopbackServer(hanging) as asleep, FakeRegistry() as awake:
        config = f"{CHAINS}registries: {{insecure: ['{asleep.host}', '{awake.host}'], timeout_s: 0.5}}\n"
        started = time.monotonic()
        checks = await registries_of(tmp_path, config)
        took = time.monotonic() - started
    assert took < 5
    assert checks[asleep.host].status is Status.FAIL
    assert "does not answer within 0.5 s" in checks[asleep.host].detail
    assert "firewall" in checks[asleep.host].remedy
    assert checks[awake.host].status is Status.OK


async def test_a_registry_that_is_not_there_says_why(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    config = f"{CHAINS}registries: {{insecure: ['{host}', 'no-such-host.invalid']}}\n"
    checks = await registries_of(tmp_path, config)
    assert checks[host].detail == "it refuses the connection"
    assert checks["no-such-host.invalid"].detail == "its name cannot be looked up (DNS)"
    assert {check.status for check in checks.values()} == {Status.FAIL}


async def test_a_registry_on_a_private_address_needs_leave(tmp_path: Path) -> None:
    async with FakeRegistry() as registry:
        check = (await registries_of(tmp_path, CHAINS, registry.host))[registry.host]
    assert check.status is Status.FAIL
    assert "loopback" in check.detail
    assert "registries.allow_private" in check.remedy
    assert registry.requests == []


async def test_a_registry_that_is_not_allowed_is_not_asked(tmp_path: Path) -> None:
    async with FakeRegistry() as registry:
        config = f"{CHAINS}registries: {{allowed: ['*.azurecr.io'], insecure: ['{registry.host}']}}\n"
        check = (await registries_of(tmp_path, config))[registry.host]
    assert check.status is Status.FAIL
    assert "registries.allowed" in check.detail
    assert registry.requests == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(404, Status.FAIL, id="no registry"),
        pytest.param(302, Status.FAIL, id="redirect"),
        pytest.param(429, Status.WARN, id="throttled"),
        pytest.param(503, Status.FAIL, id="down"),
    ],
)
async def test_other_answers_are_judged(tmp_path: Path, status: int, expected: Status) -> None:
    async def answer(request: ReceivedRequest) -> Answer:
        return Answer(status)

    async with LoopbackServer(answer) as server:
        check = (await registries_of(tmp_path, insecure(server)))[server.host]
    assert check.status is expected
    assert str(status) in check.detail


# --- certificates ---------------------------------------------------------------------------------------------


def tls_of(authority: trustme.CA, name: str = "127.0.0.1", lasting: timedelta = timedelta(days=365)) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + lasting
    authority.issue_cert(name, not_before=ends - timedelta(days=400), not_after=ends).configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


def trusting(registry: FakeRegistry, folder: Path) -> str:
    return f"{CHAINS}registries: {{allow_private: ['{registry.host}'], ca_file: '{folder / 'ca.pem'}'}}\n"


async def test_a_good_certificate_is_good(tmp_path: Path, authority: trustme.CA) -> None:
    async with FakeRegistry(tls=tls_of(authority)) as registry:
        checks = await registries_of(tmp_path, trusting(registry, tmp_path))
    assert {subject: check.status for subject, check in checks.items()} == {registry.host: Status.OK}


@pytest.mark.parametrize(
    ("certificate", "told", "remedy"),
    [
        pytest.param(("127.0.0.1", timedelta(days=-1)), "expired", "renew", id="expired"),
        pytest.param(("other.example", timedelta(days=9)), "127.0.0.1", "name that the certificate is for", id="name"),
    ],
)
async def test_a_certificate_that_does_not_fit_fails_with_the_reason(
    tmp_path: Path, authority: trustme.CA, certificate: tuple[str, timedelta], told: str, remedy: str
) -> None:
    async with FakeRegistry(tls=tls_of(authority, *certificate)) as registry:
        check = (await registries_of(tmp_path, trusting(registry, tmp_path)))[registry.host]
    assert check.status is Status.FAIL
    assert check.detail.startswith("its certificate is not accepted: ")
    assert told in check.detail
    assert remedy in check.remedy


async def test_a_certificate_of_an_unknown_authority_fails(tmp_path: Path, authority: trustme.CA) -> None:
    async with FakeRegistry(tls=tls_of(authority)) as registry:
        config = f"{CHAINS}registries: {{allow_private: ['{registry.host}']}}\n"
        check = (await registries_of(tmp_path, config))[registry.host]
    assert check.status is Status.FAIL
    assert "certificate is not accepted" in check.detail
    assert "registries.ca_file" in check.remedy


async def test_a_certificate_that_ends_soon_warns(tmp_path: Path, authority: trustme.CA) -> None:
    async with FakeRegistry(tls=tls_of(authority, lasting=timedelta(days=3))) as registry:
        checks = await registries_of(tmp_path, trusting(registry, tmp_path))
    assert checks[registry.host].status is Status.OK
    assert checks[f"{registry.host} certificate"].status is Status.WARN


async def test_plain_http_where_tls_is_due_fails_and_says_how_to_allow_it(
    tmp_path: Path, authority: trustme.CA
) -> None:
    async with FakeRegistry() as registry:
        check = (await registries_of(tmp_path, trusting(registry, tmp_path)))[registry.host]
    assert check.status is Status.FAIL
    assert "registries.insecure" in check.remedy


# --- which ----------------------------------------------------------------------------------------------------


def test_registries_are_those_that_are_named_once_each() -> None:
    settings = RegistrySettings(
        insecure=("localhost:5000",),
        allow_private=("10.0.0.0/8", "shop.internal"),
        allowed=("*.azurecr.io", "ghcr.io"),
        realms={"gitlab.example": "auth.example"},
    )
    named = named_registries(settings, ("index.docker.io", "ghcr.io"))
    assert named == ("docker.io", "ghcr.io", "localhost:5000", "gitlab.example", "shop.internal")


async def test_without_a_name_nothing_is_asked(tmp_path: Path) -> None:
    checks = await registries_of(tmp_path, CHAINS)
    assert checks["all"].status is Status.SKIPPED
    assert "--registry HOST" in checks["all"].detail


# --- clocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "age_s", "status"),
    [
        pytest.param(timedelta(seconds=20), 0, Status.OK, id="agrees"),
        pytest.param(timedelta(hours=-1), 3600, Status.OK, id="answer of a cache"),
        pytest.param(timedelta(minutes=17), 0, Status.WARN, id="we are behind"),
        pytest.param(timedelta(hours=-2), 0, Status.WARN, id="we are ahead"),
    ],
)
async def test_the_clock_is_compared_with_a_registrys(
    tmp_path: Path, ahead: timedelta, age_s: int, status: Status
) -> None:
    async def answer(request: ReceivedRequest) -> Answer:
        moment = datetime.now(UTC) + ahead
        return Answer(200, b"{}", {"Date": format_datetime(moment, usegmt=True), "Age": str(age_s)})

    async with LoopbackServer(answer) as server:
        examination = await examined(tmp_path, insecure(server), areas=["clock"])
    check = of_area(examination, "clock")["servers"]
    assert check.status is status
    assert {one.area for one in examination.checks} == {"clock"}


def test_one_server_that_is_wrong_says_nothing_of_our_clock() -> None:
    wrong, right = ServerTime("wrong.example", timedelta(days=3)), ServerTime("right.example", timedelta(seconds=-2))
    assert judge_skew([wrong, right]).status is Status.OK
    assert judge_skew([wrong]).status is Status.WARN
    assert judge_skew([]).status is Status.SKIPPED
