"""Options of the registry credentials ``azure_acr``."""

from __future__ import annotations

import re
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from scanguard_azure.identity import IdentityConfig

EVERY: Final = "*"
_SCOPE: Final = "https://containerregistry.azure.net/.default"


class AcrConfig(IdentityConfig):
    """Options of the one instance of ``azure_acr``; without ``allow`` no registry is given anything."""

    allow: tuple[str, ...] = Field(
        default=(),
        max_length=1000,
        description="Registries that are shown our identity: login servers such as acmeco.azurecr.io, or * for every "
        "registry of this cloud, those of strangers included.",
    )
    audience: Literal["registry", "arm"] = Field(
        default="registry",
        description="Whom the token is for that a registry is shown: registries only, or (arm) Resource Manager, "
        "which some sovereign clouds need. A leaked one of the second kind opens more.",
    )
    timeout_s: float = Field(default=20.0, gt=0, le=25, description="Seconds to wait for a registry's answer.")

    @model_validator(mode="after")
    def _are_login_servers(self) -> Self:
        for name in self.allow:
            if name != EVERY and not self.is_login_server(name):
                raise ValueError(
                    f"allow holds a name that is no login server NAME.{self.addresses.registry_suffix} in lower case"
                )
        return self

    @property
    def scope(self) -> str:
        """What the token of Microsoft Entra is asked for."""
        return _SCOPE if self.audience == "registry" else self.addresses.management_scope

    def is_login_server(self, registry: str) -> bool:
        """Whether a name belongs to Azure's own domain for registries in this cloud."""
        pattern = rf"[a-z0-9-]{{5,63}}\.{re.escape(self.addresses.registry_suffix)}"
        return re.fullmatch(pattern, registry) is not None

    def is_allowed(self, registry: str) -> bool:
        """Whether this login server may be shown a token."""
        return EVERY in self.allow or registry in self.allow
