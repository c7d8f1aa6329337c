"""Where an Azure cloud answers.

Addresses by https://learn.microsoft.com/en-us/azure/azure-government/compare-azure-government-global-azure and
https://learn.microsoft.com/en-us/azure/china/resources-developer-guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class CloudName(StrEnum):
    """Clouds by name."""

    PUBLIC = "public"
    US_GOVERNMENT = "us_government"
    CHINA = "china"


@dataclass(frozen=True, slots=True)
class Cloud:
    """Addresses and suffixes of one cloud; URLs without a slash at their end."""

    authority: str
    management: str
    storage_suffix: str
    vault_suffix: str
    registry_suffix: str

    @property
    def management_scope(self) -> str:
        """What a token for Resource Manager is asked for."""
        return f"{self.management}/.default"

    @property
    def vault_scope(self) -> str:
        """What a token for Key Vault is asked for."""
        return f"https://{self.vault_suffix}/.default"


STORAGE_SCOPE: Final = "https://storage.azure.com/.default"

CLOUDS: Final = {
    CloudName.PUBLIC: Cloud(
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        "core.windows.net",
        "vault.azure.net",
        "azurecr.io",
    ),
    CloudName.US_GOVERNMENT: Cloud(
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "core.usgovcloudapi.net",
        "vault.usgovcloudapi.net",
        "azurecr.us",
    ),
    CloudName.CHINA: Cloud(
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        "core.chinacloudapi.cn",
        "vault.azure.cn",
        "azurecr.cn",
    ),
}
