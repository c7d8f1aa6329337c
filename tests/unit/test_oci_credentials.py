from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from scanguard.errors import RegistryAuthError
from scanguard.oci import docker_config
from scanguard.oci.credentials import CredentialChain, RegistryCredential
from scanguard.oci.docker_config import DockerConfigCredentials


def basic(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def config(tmp_path: Path, content: object) -> DockerConfigCredentials:
    path = tmp_path / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return DockerConfigCredentials({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, (path,))


def plain(found: RegistryCredential | None) -> tuple[str, str | None, str | None] | None:
    if found is None:
        return None
    return (
        found.username,
        found.password.get_secret_value() if found.password is not None else None,
        found.identity_token.get_secret_value() if found.identity_token is not None else None,
    )


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        pytest.param("acme.azurecr.io", "acme.azurecr.io", id="host"),
        pytest.param("ACME.azurecr.io", "acme.azurecr.io", id="upper-case"),
        pytest.param("https://acme.azurecr.io", "acme.azurecr.io", id="url"),
        pytest.param("https://acme.azurecr.io/v2/", "acme.azurecr.io", id="url-with-version"),
        pytest.param("localhost:5000", "localhost:5000", id="port"),
        pytest.param("https://index.docker.io/v1/", "docker.io", id="docker-hub"),
        pytest.param("docker.io", "docker.io", id="docker-hub-short"),
        pytest.param("registry-1.docker.io", "docker.io", id="docker-hub-api"),
        pytest.param("https://index.docker.io/v1/", "index.docker.io", id="docker-hub-asked-by-its-old-name"),
    ],
)
async def test_a_registry_is_found_under_every_spelling_of_its_name(tmp_path: Path, key: str, registry: str) -> None:
    credentials = config(tmp_path, {"auths": {key: basic("user:secret")}})
    assert plain(await credentials.credential(registry)) == ("user", "secret", None)


@pytest.mark.parametrize(
    "registry",
    ["acme.azurecr.io.evil.example", "xacme.azurecr.io", "azurecr.io", "acme.azurecr.io:444", "acme", "docker.io"],
)
async def test_credentials_are_never_given_for_a_name_that_only_resembles(tmp_path: Path, registry: str) -> None:
    credentials = config(
        tmp_path, {"auths": {"acme.azurecr.io": basic("user:secret"), "quay.io/org/repo": basic("user:secret")}}
    )
    assert await credentials.credential(registry) is None
    assert await credentials.credential("quay.io") is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(basic("user:a:b:c"), ("user", "a:b:c", None), id="colons-in-password"),
        pytest.param(basic("user:"), ("user", "", None), id="empty-password"),
        pytest.param(basic("usér:pässword"), ("usér", "pässword", None), id="utf-8"),
        pytest.param(basic("user:secret\0\0"), ("user", "secret", None), id="padded"),
        pytest.param({"username": "user", "password": "secret"}, ("user", "secret", None), id="plain-fields"),
        pytest.param(
            basic("00000000-0000-0000-0000-000000000000:") | {"identitytoken": "tok"},
            ("00000000-0000-0000-0000-000000000000", None, "tok"),
            id="identity-token",
        ),
        pytest.param({}, None, id="left-empty"),
    ],
)
async def test_an_entry_is_read(
    tmp_path: Path, entry: dict[str, str], expected: tuple[str, str | None, str | None] | None
) -> None:
    credentials = config(tmp_path, {"auths": {"r.example": entry}, "HttpHeaders": {"x": "y"}})
    assert plain(await credentials.credential("r.example")) == expected


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"auths": {"r.example": {"auth": "canary-no-base64!"}}}', id="no-base64"),
        pytest.param({"auths": {"r.example": basic("canary-without-colon")}}, id="no-colon"),
        pytest.param('{"auths": {"r.example": "canary"}}', id="wrong-shape"),
        pytest.param('{"auths": {"r.example": {"auth": {"canary": 1}}}}', id="wrong-type"),
        pytest.param("canary {", id="no-json"),
        pytest.param('["canary"]', id="no-object"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('"canary' + " " * 5_000_000 + '"', id="too-large"),
    ],
)
async def test_a_broken_file_is_named_and_its_content_is_not_shown(tmp_path: Path, content: object) -> None:
    with pytest.raises(RegistryAuthError, match=r"config\.json") as caught:
        await config(tmp_path, content).credential("r.example")
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or "canary" not in str(caught.value.__context__)


async def test_a_folder_in_place_of_the_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RegistryAuthError, match="cannot be read"):
        await DockerConfigCredentials({}, (tmp_path,)).credential("r.example")


async def test_no_file_and_an_empty_file_mean_no_credentials(tmp_path: Path) -> None:
    assert await DockerConfigCredentials({"HOME": str(tmp_path)}).credential("r.example") is None
    assert await config(tmp_path, "").credential("r.example") is None


async def test_files_are_found_where_docker_and_podman_keep_them(tmp_path: Path) -> None:
    files = {
        "given.json": "REGISTRY_AUTH_FILE",
        "run/containers/auth.json": "XDG_RUNTIME_DIR",
        "docker/config.json": "DOCKER_CONFIG",
        ".docker/config.json": "HOME",
    }
    for name, owner in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"auths": {"r.example": basic(f"{owner}:x")}}))
    environ = {
        "REGISTRY_AUTH_FILE": str(tmp_path / "given.json"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "HOME": str(tmp_path),
    }
    for owner in files.values():
        found = await DockerConfigCredentials(environ).credential("r.example")
        assert found is not None
        assert found.username == owner
        del environ[owner]


async def test_neither_credential_nor_file_shows_a_secret_in_its_repr(tmp_path: Path) -> None:
    credentials = config(tmp_path, {"auths": {"r.example": basic("user:canary")}})
    assert "canary" not in repr(await credentials.credential("r.example"))
    assert "canary" not in repr(credentials)


async def test_the_first_source_of_a_chain_that_knows_decides() -> None:
    class Source:
        def __init__(self, name: str, registry: str) -> None:
            self.name, self.registry = name, registry

        async def credential(self, registry: str) -> RegistryCredential | None:
            return RegistryCredential(self.name, SecretStr("x")) if registry == self.registry else None

    chain = CredentialChain([Source("first", "a.example"), Source("second", "b.example"), Source("third", "b.example")])
    found = await chain.credential("b.example")
    assert found is not None
    assert found.username == "second"
    assert await chain.credential("c.example") is None


# --- helpers --------------------------------------------------------------------------------------------------


def helper(tmp_path: Path, body: str, name: str = "test") -> None:
    path = tmp_path / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


ECHO = """test "$1" = get && read -r server
printf '{"ServerURL":"%s","Username":"for %s","Secret":"s3cret"}' "$server" "$server" """


@pytest.mark.parametrize(
    ("content", "registry", "user"),
    [
        pytest.param({"credsStore": "test"}, "r.example", "for r.example", id="store"),
        pytest.param({"credHelpers": {"r.example": "test"}}, "r.example", "for r.example", id="helper"),
        pytest.param(
            {"credHelpers": {"r.example": "test"}, "credsStore": "absent"}, "r.example", "for r.example",
            id="helper-before-store",
        ),
        pytest.param({"credsStore": "test"}, "docker.io", "for https://index.docker.io/v1/", id="docker-hub"),
    ],
)  # fmt: skip
async def test_a_helper_is_asked(tmp_path: Path, content: object, registry: str, user: str) -> None:
    helper(tmp_path, ECHO)
    assert plain(await config(tmp_path, content).credential(registry)) == (user, "s3cret", None)


async def test_a_helper_is_not_asked_for_another_registry(tmp_path: Path) -> None:
    helper(tmp_path, f"touch {tmp_path}/asked; {ECHO}")
    assert await config(tmp_path, {"credHelpers": {"r.example": "test"}}).credential("other.example") is None
    assert not (tmp_path / "asked").exists()


async def test_a_helpers_identity_token_is_one(tmp_path: Path) -> None:
    helper(tmp_path, """echo '{"Username":"<token>","Secret":"tok"}'""")
    assert plain(await config(tmp_path, {"credsStore": "test"}).credential("r.example")) == ("", None, "tok")


async def test_a_helper_that_knows_nothing_leaves_the_word_to_the_file(tmp_path: Path) -> None:
    helper(tmp_path, "echo 'credentials not found in native keychain'; exit 1")
    credentials = config(tmp_path, {"credsStore": "test", "auths": {"r.example": basic("user:secret")}})
    assert plain(await credentials.credential("r.example")) == ("user", "secret", None)
    assert await credentials.credential("other.example") is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param("echo canary; echo canary >&2; exit 1", "ended with status 1", id="fails"),
        pytest.param("echo canary", "unreadable", id="no-json"),
        pytest.param("""echo '{"Username":"canary"}'""", "unreadable", id="no-secret"),
        pytest.param("head -c 2000000 /dev/zero", "more than", id="too-much"),
    ],
)
async def test_a_broken_helper_is_named_and_what_it_said_is_not_shown(tmp_path: Path, body: str, text: str) -> None:
    helper(tmp_path, body)
    with pytest.raises(RegistryAuthError, match=text) as caught:
        await config(tmp_path, {"credsStore": "test"}).credential("r.example")
    assert "docker-credential-test" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_helper_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryAuthError, match=r"config\.json.*docker-credential-absent cannot be started"):
        await config(tmp_path, {"credsStore": "absent"}).credential("r.example")


@pytest.mark.parametrize("name", ["../evil", "a b", "-x", "a;b", "$(x)", "a/b"])
async def test_a_helpers_name_is_no_path_and_no_command(tmp_path: Path, name: str) -> None:
    with pytest.raises(RegistryAuthError, match="no plain name"):
        await config(tmp_path, {"credsStore": name}).credential("r.example")


async def test_a_helper_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_config, "HELPER_TIMEOUT_S", 0.2)
    helper(tmp_path, "sleep 60")
    started = time.monotonic()
    with pytest.raises(RegistryAuthError, match="did not end"):
        await config(tmp_path, {"credsStore": "test"}).credential("r.example")
    assert time.monotonic() - started < 3


async def test_cancelling_ends_a_helper_within_a_second(tmp_path: Path) -> None:
    helper(tmp_path, f"touch {tmp_path}/asked; sleep 60")
    task = asyncio.create_task(config(tmp_path, {"credsStore": "test"}).credential("r.example"))
    for _ in range(500):
        if "asked" in os.listdir(tmp_path):
            break
        await asyncio.sleep(0.01)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 1


async def test_a_helper_gets_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANGUARD_TEST_SECRET", "canary")
    helper(tmp_path, """printf '{"Username":"u","Secret":"[%s]"}' "$SCANGUARD_TEST_SECRET" """)
    assert plain(await config(tmp_path, {"credsStore": "test"}).credential("r.example")) == ("u", "[]", None)
