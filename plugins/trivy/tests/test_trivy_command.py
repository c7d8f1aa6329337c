"""What Trivy is asked, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_trivy import REFERENCE
from pydantic import SecretStr, ValidationError
from scanguard_trivy import plugin
from scanguard_trivy.command import (
    ACR_TOKEN_USER,
    Folders,
    Login,
    Target,
    download_arguments,
    environment,
    login_for,
    scan_arguments,
)
from scanguard_trivy.config import TrivyConfig

from scanguard.errors import ScannerAuthError
from scanguard.model.image import Platform
from scanguard.oci.credentials import RegistryCredential

FOLDERS = Folders(Path("/w/work"), Path("/w/temp"), Path("/c"), Path("/w/report.json"))
IMAGE = Target(Platform(architecture="arm64", variant="v8"), reference=REFERENCE)


def arguments(target: Target = IMAGE, **options: Any) -> list[str]:
    config = TrivyConfig.model_validate(options)
    return list(scan_arguments(config, target, FOLDERS, Login(), timeout_s=90.7))


def test_an_image_is_named_by_its_digest_last_and_on_the_platform_that_runs() -> None:
    asked = arguments()

    assert asked[0] == "image"
    assert asked[-3:] == ["--image-src=remote", "--", REFERENCE]
    assert "--platform=linux/arm64/v8" in asked
    assert "--timeout=90s" in asked


def test_an_image_of_this_machine_is_given_as_a_folder_and_no_registry_is_asked() -> None:
    asked = arguments(Target(Platform(), layout=Path("/w/temp/image")))

    assert asked[-1] == "--input=/w/temp/image"
    assert not [one for one in asked if "remote" in one or one == "--"]


def test_a_scan_never_downloads_a_database_for_the_images_credential_would_be_shown_to_its_registry() -> None:
    assert {"--skip-db-update", "--skip-java-db-update", "--skip-check-update"} <= set(arguments())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, "--scanners=secret,vuln", id="default"),
        pytest.param({"scanners": ["license"]}, "--scanners=license", id="licences"),
        pytest.param({"scanners": ["misconfig", "vuln"]}, "--image-config-scanners=misconfig", id="own configuration"),
        pytest.param({"pkg_types": ["os"]}, "--pkg-types=os", id="packages of the distribution"),
        pytest.param({"ignore_unfixed": True}, "--ignore-unfixed", id="only what can be fixed"),
        pytest.param({"offline_scan": True}, "--offline-scan", id="offline"),
        pytest.param({"insecure": True}, "--insecure", id="insecure"),
        pytest.param({"max_image_bytes": 1000}, "--max-image-size=1000B", id="largest image"),
        pytest.param({"parallel": 2}, "--parallel=2", id="parallel"),
        pytest.param({"detection_priority": "comprehensive"}, "--detection-priority=comprehensive", id="priority"),
        pytest.param({"server": "http://trivy:4954/"}, "--server=http://trivy:4954", id="server"),
        pytest.param({"keep_layers": True}, "--cache-backend=fs", id="layers are kept"),
    ],
)
def test_an_option_is_handed_on(options: dict[str, Any], expected: str) -> None:
    assert expected in arguments(**options)


def test_without_options_nothing_is_switched_on_and_no_layer_is_kept() -> None:
    asked = arguments()

    assert "--cache-backend=memory" in asked
    assert not {"--insecure", "--ignore-unfixed", "--offline-scan"} & set(asked)
    assert not [one for one in asked if one.startswith(("--server", "--max-image-size"))]


def test_licences_alone_leave_the_images_own_configuration_alone() -> None:
    assert not [one for one in arguments(scanners=["license"]) if one.startswith("--image-config-scanners")]


def test_a_database_is_downloaded_alone() -> None:
    config = TrivyConfig.model_validate({"insecure": True})
    asked = download_arguments(config, "acme.azurecr.io/trivy-java-db:1", Login(), java=True, timeout_s=60)

    assert list(asked) == [
        "image",
        "--download-java-db-only",
        "--java-db-repository=acme.azurecr.io/trivy-java-db:1",
        "--timeout=60s",
        "--insecure",
    ]


def test_the_environment_is_all_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRIVY_USERNAME", "AZURE_CLIENT_SECRET", "PATH"):
        monkeypatch.setenv(name, "canary")

    env = environment(TrivyConfig(), FOLDERS, ca_file=None, proxy=None)

    assert "canary" not in env.values()
    assert env["HOME"] == env["DOCKER_CONFIG"] == "/w/work"
    assert (env["TMPDIR"], env["TRIVY_CACHE_DIR"]) == ("/w/temp", "/c")


def test_a_proxy_and_certificates_are_handed_on_where_they_are_configured() -> None:
    config = TrivyConfig.model_validate({"no_proxy": "registry.local"})
    env = environment(config, FOLDERS, ca_file=Path("/etc/roots.pem"), proxy=SecretStr("http://u:p@proxy:8080"))

    assert env["HTTPS_PROXY"] == env["HTTP_PROXY"] == "http://u:p@proxy:8080"
    assert (env["NO_PROXY"], env["SSL_CERT_FILE"]) == ("registry.local", "/etc/roots.pem")


def test_a_password_travels_in_the_environment_and_is_not_shown() -> None:
    login = login_for("registry.example", RegistryCredential("robot", SecretStr("canary")))

    assert login.env == {"TRIVY_USERNAME": "robot", "TRIVY_PASSWORD": "canary"}
    assert (login.stdin, login.arguments) == (None, ())
    assert "canary" not in repr(login)


@pytest.mark.parametrize("password", ["correct horse", "a,b"])
def test_a_password_that_trivy_would_cut_in_the_environment_travels_by_input(password: str) -> None:
    login = login_for("registry.example", RegistryCredential("robot", SecretStr(password)))

    assert login.env == {"TRIVY_USERNAME": "robot"}
    assert (login.stdin, login.arguments) == (f"{password}\n".encode(), ("--password-stdin",))


@pytest.mark.parametrize("registry", ["acme.azurecr.io", "acme.westeurope.data.azurecr.io", "acme.azurecr.cn"])
def test_an_identity_token_of_azures_registry_is_its_password(registry: str) -> None:
    login = login_for(registry, RegistryCredential(identity_token=SecretStr("refresh-token")))

    assert login.env == {"TRIVY_USERNAME": ACR_TOKEN_USER, "TRIVY_PASSWORD": "refresh-token"}


@pytest.mark.parametrize("registry", ["registry.example", "acme.azurecr.io.evil.example"])
def test_an_identity_token_of_another_registry_is_refused_and_not_shown(registry: str) -> None:
    with pytest.raises(ScannerAuthError, match="identity token") as caught:
        login_for(registry, RegistryCredential(identity_token=SecretStr("canary")))

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("user", ["", "a,b", "a b"])
def test_a_user_that_trivy_would_cut_is_refused(user: str) -> None:
    with pytest.raises(ScannerAuthError, match="user name"):
        login_for("registry.example", RegistryCredential(user, SecretStr("p")))


@pytest.mark.parametrize("credential", [None, RegistryCredential("robot")])
def test_without_a_password_nobody_logs_in(credential: RegistryCredential | None) -> None:
    assert login_for("registry.example", credential) == Login()


@pytest.mark.parametrize(
    ("options", "is_same"),
    [
        pytest.param({"timeout_s": 10}, True, id="time"),
        pytest.param({"binary": "/opt/trivy"}, True, id="where the program is"),
        pytest.param({"cache_dir": "/var/cache"}, True, id="where the cache is"),
        pytest.param({"scanners": ["vuln"]}, False, id="scanners"),
        pytest.param({"ignore_unfixed": True}, False, id="unfixed"),
        pytest.param({"pkg_types": ["os"]}, False, id="packages"),
        pytest.param({"server": "http://trivy"}, False, id="server"),
    ],
)
def test_scans_differ_by_what_changes_their_result_alone(options: dict[str, Any], is_same: bool) -> None:
    (spec,) = plugin.scanguard_scanners()
    assert spec.fingerprint is not None

    assert (spec.fingerprint(TrivyConfig()) == spec.fingerprint(TrivyConfig.model_validate(options))) is is_same


def test_a_scan_may_take_as_long_as_its_parts() -> None:
    (spec,) = plugin.scanguard_scanners()
    refined = spec.refined(TrivyConfig(heavy=False, timeout_s=100, update_timeout_s=50, version_timeout_s=5))

    assert (refined.heavy, refined.step_timeout_s, refined.scan_timeout_s) == (False, 320.0, 320.0)
    assert spec.refined(TrivyConfig()).heavy


@pytest.mark.parametrize(
    ("options", "key"),
    [
        pytest.param({"server": "ftp://x"}, "server", id="no http"),
        pytest.param({"server": "https://user:canary@x"}, "server", id="a password in the address"),
        pytest.param({"server_token": "env:T"}, "server_token", id="a token for no server"),
        pytest.param({"scanners": []}, "scanners", id="nothing to look for"),
        pytest.param({"scanners": ["virus"]}, "scanners", id="unknown scanner"),
        pytest.param({"database_repositories": ["no repository"]}, "database_repositories", id="no reference"),
        pytest.param({"binary_sha256": "abc"}, "binary_sha256", id="no checksum"),
    ],
)
def test_a_configuration_that_cannot_work_names_its_key(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        TrivyConfig.model_validate(options)
