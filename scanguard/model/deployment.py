"""A deployment is a workload that runs images; an event says that one changed."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from scanguard.model.base import Instant, Model
from scanguard.model.image import Platform


class Event(Model):
    """A trimmed event: enough to look the deployment up, nothing personal.

    ``actor`` is the object id or application id of the caller and nothing else about them.
    """

    id: str = Field(max_length=256)
    source: str = Field(max_length=1024)
    type: str = Field(max_length=256)
    operation: str = Field(default="", max_length=256)
    resource_id: str = Field(min_length=1, max_length=2048)
    time: Instant
    actor: str | None = Field(default=None, max_length=128)

    @property
    def is_deletion(self) -> bool:
        """Whether it says that the resource was deleted."""
        return self.operation.lower().endswith("/delete")


class Container(Model):
    """One container of a deployment; ``image`` is the text the platform holds, not yet parsed."""

    name: str
    image: str
    init: bool = False


class Deployment(Model):
    """One observation of a workload: what the platform said at ``seen_at``.

    ``kind`` is ``container_group``, ``container_app``, ``container_app_job``, or ``image`` for an image that
    was named by hand. ``resource_id`` keeps the platform's spelling; compare it lower-cased. ``registries`` says, by
    host, how the workload itself logs in to a registry, in words; never a secret.
    """

    resource_id: str = Field(min_length=1, max_length=2048)
    kind: str
    name: str
    subscription: str = ""
    resource_group: str = ""
    location: str = ""
    tags: Mapping[str, str] = {}
    containers: tuple[Container, ...]
    platform: Platform | None = None
    registries: Mapping[str, str] = {}
    seen_at: Instant
