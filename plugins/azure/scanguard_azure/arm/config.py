"""Options of the platform ``azure`` and of its inventory."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from scanguard.hooks import PluginConfig
from scanguard.model.duration import DurationText
from scanguard_azure.arm.ids import Kind
from scanguard_azure.identity import IdentityConfig

_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")


def _https(value: str) -> str:
    url = value.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme != "https" or _HOST.fullmatch(parts.netloc) is None or url != f"https://{parts.netloc}":
        raise ValueError("write https://host, perhaps with a port, and nothing after it")
    return url


ApiVersion = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}(-preview)?$")]
Subscription = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$", to_lower=True)]
HttpsUrl = Annotated[str, AfterValidator(_https)]


class ApiVersions(PluginConfig):
    """Versions of Azure's own interfaces that are spoken; change one when Azure retires it."""

    container_groups: ApiVersion = Field(default="2025-09-01", description="Microsoft.ContainerInstance.")
    container_apps: ApiVersion = Field(default="2025-07-01", description="Microsoft.App/containerApps and revisions.")
    jobs: ApiVersion = Field(default="2025-07-01", description="Microsoft.App/jobs and executions.")
    resource_graph: ApiVersion = Field(default="2022-10-01", description="Microsoft.ResourceGraph.")
    subscriptions: ApiVersion = Field(default="2022-12-01", description="Subscriptions.")

    def of(self, kind: Kind) -> str:
        """The version for one kind of workload."""
        versions = {
            Kind.CONTAINER_GROUP: self.container_groups,
            Kind.CONTAINER_APP: self.container_apps,
            Kind.CONTAINER_APP_JOB: self.jobs,
        }
        return versions[kind]


class AzureConfig(IdentityConfig):
    """Which subscriptions, as whom, how often."""

    subscriptions: tuple[Subscription, ...] = Field(
        default=(),
        max_length=10_000,
        description="Ids of the subscriptions whose workloads the inventory lists. Events are read from every "
        "subscription that the identity may read.",
    )
    inventory_every: DurationText | None = Field(
        default=timedelta(hours=24),
        ge=timedelta(minutes=5),
        le=timedelta(days=366),
        description="How often every workload is listed and looked at again; null switches the inventory off.",
    )
    management_url: HttpsUrl | None = Field(
        default=None, description="Address of Resource Manager, for a private cloud; else the one of `cloud`."
    )
    api_versions: ApiVersions = Field(default=ApiVersions(), description="Versions of Azure's interfaces.")
    job_executions: bool = Field(
        default=True,
        description="Whether the executions of a job that run now are read too: each may have an image of its own.",
    )
    request_timeout_s: float = Field(default=20.0, gt=0, le=60, description="Seconds one request may take.")
    max_answer_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024, description="Bytes of one answer that are read."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.inventory_every is not None and not self.subscriptions:
            raise ValueError("list the subscriptions to take the inventory of, or set inventory_every: null")
        return self

    @property
    def management(self) -> str:
        """Where Resource Manager answers, without a slash at its end."""
        return self.management_url or self.addresses.management

    @property
    def listed(self) -> tuple[str, ...]:
        """The subscriptions of the inventory, each once, in a fixed order."""
        return tuple(sorted(set(self.subscriptions)))
