"""Options of everything that uses a storage account: which one, how to sign in, how long to wait."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from scanguard import SecretRef
from scanguard_azure.identity import IdentityConfig

URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#@]+)?$"


class AccountConfig(IdentityConfig):
    """One storage account."""

    account: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]{3,24}$",
        description="Name of the storage account; signs in with the identity.",
    )
    connection_string: SecretRef | None = Field(
        default=None,
        description="Connection string, by reference, instead of `account`: for Azurite, or an account key.",
    )
    blob_endpoint: str | None = Field(default=None, pattern=URL, description="Address of Blob Storage, if unusual.")
    table_endpoint: str | None = Field(default=None, pattern=URL, description="Address of Table Storage, if unusual.")
    create: bool | None = Field(
        default=None,
        description="Make what is missing: tables, queues, the container. Default: only with a connection string; "
        "with an identity, the deployment makes them.",
    )
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60, description="Seconds for a connection to come about.")
    read_timeout_s: float = Field(default=20.0, gt=0, le=120, description="Seconds to wait for an answer's next bytes.")
    retries: int = Field(default=3, ge=0, le=10, description="Further tries of a request that got no good answer.")

    @model_validator(mode="after")
    def _names_one_account(self) -> Self:
        if (self.account is None) == (self.connection_string is None):
            raise ValueError("name either account (signs in with the identity) or connection_string (by reference)")
        return self

    @property
    def creates(self) -> bool:
        """Whether what is missing is made."""
        return self.connection_string is not None if self.create is None else self.create

    def endpoint(self, service: str) -> str:
        """Where ``blob``, ``queue`` or ``table`` answers, for an account that is named."""
        given: str | None = getattr(self, f"{service}_endpoint")
        return given or f"https://{self.account}.{service}.{self.addresses.storage_suffix}"
