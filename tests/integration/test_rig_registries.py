"""The registries and images that the other integration tests stand on are real and do what they are for."""

from __future__ import annotations

import json

import httpx
import pytest
from debian_image import SITE_PACKAGES
from oci_archive import MANIFEST, Image
from registries import PASSWORD, USER, Registry

ACCEPT = {"Accept": MANIFEST}


def head(registry: Registry, path: str, **options: object) -> httpx.Response:
    return httpx.head(f"{registry.url}/v2/{path}", headers=ACCEPT, trust_env=False, **options)  # type: ignore[arg-type]  # httpx's own options


def test_the_open_registry_gives_back_what_was_pushed(docker_registry: Registry, small_image: Image) -> None:
    pushed = docker_registry.push(small_image, "rig/small", "1")

    answer = httpx.get(f"{docker_registry.url}/v2/rig/small/manifests/1", headers=ACCEPT, trust_env=False)

    assert pushed == small_image.digest
    assert answer.content == small_image.manifest
    assert answer.headers["docker-content-digest"] == small_image.digest


def test_the_basic_registry_wants_the_right_password(basic_registry: Registry, small_image: Image) -> None:
    basic_registry.push(small_image, "rig/small", "1")

    path = "rig/small/manifests/1"
    statuses = [
        head(basic_registry, path).status_code,
        head(basic_registry, path, auth=(USER, "wrong")).status_code,
        head(basic_registry, path, auth=(USER, PASSWORD)).status_code,
    ]

    assert statuses == [401, 401, 200]


def test_the_token_registry_takes_tokens_of_its_server_for_the_right_repository_only(
    token_registry: Registry, small_image: Image
) -> None:
    assert token_registry.tokens is not None
    token_registry.push(small_image, "rig/small", "1")
    refused = head(token_registry, "rig/small/manifests/1")
    challenge = refused.headers["www-authenticate"]
    token = fetch_token(token_registry, "repository:rig/small:pull")
    other = fetch_token(token_registry, "repository:rig/other:pull")

    assert refused.status_code == 401
    assert token_registry.tokens.realm in challenge
    assert 'scope="repository:rig/small:pull"' in challenge
    assert bearer(token_registry, token).status_code == 200
    assert bearer(token_registry, other).status_code == 401


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"grant_type": "password", "username": USER, "password": PASSWORD}, 200, id="password"),
        pytest.param({"grant_type": "password", "username": USER, "password": "wrong"}, 401, id="wrong password"),
        pytest.param({"grant_type": "refresh_token", "refresh_token": "the server's"}, 200, id="identity token"),
        pytest.param({"grant_type": "refresh_token", "refresh_token": "wrong"}, 401, id="wrong identity token"),
        pytest.param({"grant_type": "magic"}, 400, id="unknown grant"),
    ],
)
def test_the_token_server_speaks_oauth2_too(token_registry: Registry, fields: dict[str, str], status: int) -> None:
    tokens = token_registry.tokens
    assert tokens is not None
    if fields.get("refresh_token") == "the server's":
        fields = {**fields, "refresh_token": tokens.refresh_token}

    form = {"service": tokens.service, "scope": "repository:rig/small:pull", **fields}
    answer = httpx.post(tokens.realm, data=form, trust_env=False)

    assert answer.status_code == status
    if status == 200:
        assert answer.json()["access_token"].count(".") == 2
        assert tokens.asked[-1].scope == "repository:rig/small:pull"


def test_anybody_gets_a_token_to_pull_what_is_public_and_nothing_else(token_registry: Registry) -> None:
    tokens = token_registry.tokens
    assert tokens is not None

    def status(scope: str) -> int:
        query = {"service": tokens.service, "scope": scope}
        return httpx.get(tokens.realm, params=query, trust_env=False).status_code

    assert status("repository:public/small:pull") == 200
    assert status("repository:public/small:pull,push") == 401
    assert status("repository:rig/small:pull") == 401


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_debian_image_is_a_real_root_with_old_python_packages(
    docker_registry: Registry, debian_image: Image
) -> None:
    pushed = docker_registry.push(debian_image, "rig/debian", "12")

    sizes = [layer["size"] for layer in json.loads(debian_image.manifest)["layers"]]
    assert pushed == debian_image.digest
    assert len(sizes) == 2
    assert sizes[0] > 30_000_000, f"a Debian root is larger than {sizes[0]} bytes; {SITE_PACKAGES} is the other layer"


def fetch_token(registry: Registry, scope: str) -> str:
    assert registry.tokens is not None
    query = {"service": registry.tokens.service, "scope": scope}
    answer = httpx.get(registry.tokens.realm, params=query, auth=(USER, PASSWORD), trust_env=False)
    return str(answer.raise_for_status().json()["token"])


def bearer(registry: Registry, token: str) -> httpx.Response:
    return httpx.head(
        f"{registry.url}/v2/rig/small/manifests/1",
        headers={**ACCEPT, "Authorization": f"Bearer {token}"},
        trust_env=False,
    )
