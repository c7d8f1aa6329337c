"""What a reviewer of security would look for first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from bicep import INFRA, Bicep, Declared, all_files

FILES = {path.relative_to(INFRA).as_posix(): Bicep(path) for path in all_files()}
TEMPLATES = {name: file for name, file in FILES.items() if name.endswith(".bicep")}
KEY_FUNCTIONS = re.compile(r"\blist(Keys|Secrets|AccountSas|ServiceSas|Credentials|\w*Key\w*)?\s*\(", re.IGNORECASE)
SECRETS = re.compile(
    r"AccountKey=|SharedAccessSignature|InstrumentationKey|primaryKey|SharedKey(?!Access)|[?&]sig=|adminPassword",
    re.IGNORECASE,
)
SETTINGS = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AZURE_CLIENT_ID",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCANGUARD_CONFIG",
    "SCANGUARD_CONFIG_BLOB",
    "SCANGUARD_LANES",
    "SCANGUARD__backend__account",
    "SCANGUARD__backend__plugin",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID",
}


def code(file: Bicep) -> str:
    """A file without its comments."""
    return "\n".join(line for line in file.text.splitlines() if not line.lstrip().startswith("//"))


def the(type_: str, module: str) -> Declared:
    (found,) = TEMPLATES[f"modules/{module}.bicep"].of_type(type_)
    return found


@pytest.mark.parametrize("name", FILES)
def test_no_key_is_read_or_written(name: str) -> None:
    assert KEY_FUNCTIONS.findall(code(FILES[name])) == []
    assert SECRETS.findall(code(FILES[name])) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_output_has_a_secret(name: str) -> None:
    for output, value in TEMPLATES[name].outputs.items():
        assert not re.search(r"key|secret|password|connectionstring|token", f"{output} {value}", re.IGNORECASE), output


def test_app_settings_are_these_and_none_is_a_secret() -> None:
    function = TEMPLATES["modules/function.bicep"]
    listed = [value for name, value in function.variables.items() if name.endswith("Settings")]

    assert {entry["name"] for entry in _entries(listed)} == SETTINGS
    assert "@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${secret.value})" in set(function.strings())


def test_the_one_connection_string_only_says_where_telemetry_goes() -> None:
    """Its key opens nothing when local authentication is off, which is the default."""
    users = [name for name, file in TEMPLATES.items() if "properties.ConnectionString" in code(file)]

    assert users == ["modules/function.bicep", "modules/worker.bicep"]
    assert Bicep(INFRA / "main.bicep").defaults["entraIngestion"] is True
    insights = the("Microsoft.Insights/components", "monitoring")
    assert insights.body["properties"]["DisableLocalAuth"] == "entraIngestion"


def test_storage_takes_identities_only_over_tls() -> None:
    properties = the("Microsoft.Storage/storageAccounts", "storage").body["properties"]

    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["minimumTlsVersion"] == "TLS1_2"
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["networkAcls"]["defaultAction"] == "closed ? 'Deny' : 'Allow'"


def test_deleted_blobs_and_containers_can_be_had_back() -> None:
    properties = the("Microsoft.Storage/storageAccounts/blobServices", "storage").body["properties"]

    assert properties["deleteRetentionPolicy"]["enabled"] is True
    assert properties["containerDeleteRetentionPolicy"]["enabled"] is True


def test_the_vault_goes_by_role_and_survives_its_deletion() -> None:
    properties = the("Microsoft.KeyVault/vaults", "vault").body["properties"]

    assert properties["enableRbacAuthorization"] is True
    assert properties["enableSoftDelete"] is True
    assert properties["softDeleteRetentionInDays"] == 90
    assert properties["enablePurgeProtection"] is True
    assert properties["networkAcls"]["defaultAction"] == "closed ? 'Deny' : 'Allow'"


def test_the_function_app_speaks_tls_and_takes_no_password() -> None:
    app = the("Microsoft.Web/sites", "function").body
    policies = TEMPLATES["modules/function.bicep"].of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")

    assert app["properties"]["httpsOnly"] is True
    site, _ = app["properties"]["siteConfig"]
    assert (site["minTlsVersion"], site["scmMinTlsVersion"], site["http20Enabled"]) == ("1.2", "1.2", True)
    assert app["identity"]["type"] == "UserAssigned"
    assert "type: 'UserAssignedIdentity'" in TEMPLATES["modules/function.bicep"].text
    assert {(policy.body["name"], policy.body["properties"]["allow"]) for policy in policies} == {
        ("ftp", False),
        ("scm", False),
    }


def test_flex_is_not_given_what_it_refuses() -> None:
    """Even null is refused, by error 51021: https://github.com/Azure/terraform-azurerm-avm-res-web-site/pull/345."""
    function = TEMPLATES["modules/function.bicep"]
    site, further = the("Microsoft.Web/sites", "function").body["properties"]["siteConfig"]
    classic, _ = function.variables["classicConfig"]

    assert not {"linuxFxVersion", "ftpsState", "healthCheckPath", "alwaysOn", "functionAppScaleLimit"} & set(site)
    assert further == "flex ? {} : classicConfig"
    assert classic["ftpsState"] == "Disabled"
    assert function.variables["classicSettings"].startswith("flex ? [] : [")


def test_only_event_grid_and_named_addresses_get_into_a_closed_deployment() -> None:
    app, _ = the("Microsoft.Web/sites", "function").body["properties"]["siteConfig"]

    assert app["ipSecurityRestrictionsDefaultAction"] == "closed ? 'Deny' : 'Allow'"
    assert app["scmIpSecurityRestrictionsDefaultAction"] == "closed ? 'Deny' : 'Allow'"
    (rule,) = TEMPLATES["modules/function.bicep"].variables["eventGridOnly"]
    assert (rule["tag"], rule["ipAddress"]) == ("ServiceTag", "AzureEventGrid")


def test_the_roles_of_the_reading_identity_are_these() -> None:
    """Built-in roles by id; https://learn.microsoft.com/en-us/azure/role-based-access-control/built-in-roles."""
    ids = {
        found
        for name, file in TEMPLATES.items()
        if name != "modules/dead-letter-writer.bicep"
        for found in re.findall(r"'([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'", file.text)
    }

    assert ids == {
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  # Storage Blob Data Owner
        "974c5e8b-45b9-4653-ba55-5f855dd0fb88",  # Storage Queue Data Contributor
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",  # Storage Table Data Contributor
        "4633458b-17de-408a-b874-0445c86b69e6",  # Key Vault Secrets User
        "3913510d-42f4-4e42-8a64-420c390055eb",  # Monitoring Metrics Publisher
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",  # AcrPull
    }


def test_what_matters_is_logged() -> None:
    logged = {
        str(found.body["scope"])
        for file in TEMPLATES.values()
        for found in file.of_type("Microsoft.Insights/diagnosticSettings")
    }

    assert logged == {"app", "blobs", "managedEnvironment", "queueService", "tableService", "topic", "vault"}


def test_a_closed_network_lets_https_out_and_nobody_in() -> None:
    groups = {
        group.symbol: group
        for group in TEMPLATES["modules/network.bicep"].of_type("Microsoft.Network/networkSecurityGroups")
    }
    for group in groups.values():
        rules = [rule["properties"] for rule in group.body["properties"]["securityRules"]]
        incoming = [rule for rule in rules if rule["direction"] == "Inbound"]
        assert all(
            rule["sourceAddressPrefix"] != "Internet"
            for rule in incoming
            if rule["access"] == "Allow" and "sourceAddressPrefix" in rule
        )
        assert any(rule["access"] == "Deny" and rule["priority"] == 4096 for rule in incoming)
    out = [rule["properties"] for rule in groups["outgoing"].body["properties"]["securityRules"]]
    to_internet = [rule for rule in out if rule.get("destinationAddressPrefix") == "Internet"]
    assert [(rule["access"], rule["destinationPortRange"]) for rule in to_internet] == [("Allow", "443")]
    assert any(
        rule["access"] == "Deny" and rule["direction"] == "Outbound" and rule["priority"] == 4096 for rule in out
    )


def _entries(values: Any) -> Iterator[dict[str, Any]]:
    """Objects with a literal ``name``, also inside conditions, whose text is read again."""
    if isinstance(values, list):
        for value in values:
            yield from _entries(value)
    elif isinstance(values, dict):
        if not re.search(r"[.$]", str(values.get("name", "$"))):
            yield values
    else:
        yield from ({"name": name} for name in re.findall(r"name: '([^'$]+)'", str(values)))
