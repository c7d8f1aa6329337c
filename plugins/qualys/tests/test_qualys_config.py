"""The configuration says what is missing before any work, and shows no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from qualys_account import PLATFORM
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.plugin import scanguard_scanners
from scanguard_qualys.pods import POD_NAMES, gateway_of

from scanguard.errors import ConfigError
from scanguard.loader import load_plugins
from scanguard.settings.bind import bind
from scanguard.settings.load import Loaded, parse_settings
from scanguard.settings.source import merge, read_text

ACCOUNT = {"username": "env:U", "password": "env:P"}
CONFIGURATION = """\
version: 1
instances:
  qualys: {plugin: qualys, OPTIONS}
chains:
  default: {scanners: [qualys]}
"""


def problems(options: str) -> str:
    document = merge([read_text(CONFIGURATION.replace("OPTIONS", options), "scanguard.yaml")])
    plugins = load_plugins({})
    with pytest.raises(ConfigError) as caught:
        bind(Loaded(parse_settings(document), document, Path(), ()), plugins.catalog, plugins.problem)
    return "\n".join(caught.value.problems)


def test_leaving_out_the_mode_explains_all_three() -> None:
    said = problems("username: env:U, password: env:P")
    assert "instances.qualys.mode: this key is missing" in said
    for mode in ("`platform`", "`qscanner`", "`ondemand`"):
        assert mode in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({"mode": "platform", "pod": "US2"}, "needs username, password", id="no-credentials"),
        pytest.param({"mode": "platform", **ACCOUNT}, "needs pod (or url)", id="no-address"),
        pytest.param({"mode": "ondemand", "pod": "US2", **ACCOUNT}, "needs url", id="on-demand-has-no-pods"),
        pytest.param({"mode": "qscanner", "pod": "US2", **ACCOUNT}, "needs qscanner", id="no-program"),
        pytest.param({"mode": "platform", "pod": "US9", **ACCOUNT}, "no platform is called 'US9'", id="unknown-pod"),
        pytest.param({**PLATFORM, "url": "https://user:pw@host"}, "keys of their own", id="user-in-url"),
        pytest.param({**PLATFORM, "pod": "US1", "password": "hunter2"}, "by reference, never by value", id="literal"),
        pytest.param(
            {"mode": "ondemand", "url": "https://h", **ACCOUNT, "scan_options": {"imageId": "x"}},
            "cannot set imageId",
            id="reserved",
        ),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        QualysConfig.model_validate(options)
    errors = caught.value.errors(include_input=False, include_url=False)
    assert any(says in error["msg"] for error in errors), errors


def test_every_pod_that_is_documented_has_a_gateway_and_an_address_wins() -> None:
    assert len(POD_NAMES) == 13
    assert gateway_of("eu1") == "https://gateway.qg1.apps.qualys.eu"
    config = QualysConfig.model_validate({**PLATFORM, "pod": "GOV1", "url": "https://gateway.gov.example/"})
    assert config.url == "https://gateway.gov.example"


def test_addresses_and_ids_may_be_secret_references() -> None:
    config = QualysConfig.model_validate(
        {
            "mode": "ondemand",
            "url": "keyvault:kv/QualysApiUrl",
            "username": "keyvault:kv/QualysUsername",
            "password": "keyvault:kv/QualysPassword",
            "appliance_id": "keyvault:kv/QualysScannerApplianceId",
        }
    )
    assert str(config.url) == "keyvault:kv/QualysApiUrl"
    assert str(config.appliance_id) == "keyvault:kv/QualysScannerApplianceId"


def test_what_changes_a_result_is_in_the_fingerprint_and_the_rest_is_not() -> None:
    def options(**changes: Any) -> Any:
        return QualysConfig.model_validate({**PLATFORM, "pod": "US1", **changes}).result_options()

    assert options() == options(timeout_s=60, poll_interval_s=99, page_size=7, username="env:OTHER")
    assert options() != options(registry_id="7")
    assert options() != options(compliance=False)


def test_the_record_follows_the_configuration() -> None:
    (spec,) = scanguard_scanners()

    def refined(**options: Any) -> Any:
        return spec.refined(QualysConfig.model_validate({**ACCOUNT, "pod": "US1", "url": "https://h", **options}))

    assert not refined(mode="platform").heavy
    assert refined(mode="platform").poll_many == 0
    assert refined(mode="platform", poll_batch=20, timeout_s=99).poll_many == 20
    assert refined(mode="platform", timeout_s=99).scan_timeout_s == 99
    local = refined(mode="qscanner", qscanner={"binary": "qscanner"})
    assert local.heavy
    assert local.step_timeout_s == 1800
