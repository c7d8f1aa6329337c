"""Resource ids of workloads that run containers: recognised from their text, checked before they become a URL.

Ids come from events, which anybody may have written. Names follow
https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/resource-name-rules: nothing in them can end
a path segment, begin a query, or be read a second time (``%``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from scanguard.errors import PlatformError
from scanguard.model.deployment import Deployment

_LOOKS: Final = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/"
    r"(?:microsoft\.containerinstance/containergroups|microsoft\.app/(?:containerapps|jobs))/.+",
    re.IGNORECASE | re.DOTALL,
)
_ID: Final = re.compile(
    r"/subscriptions/(?P<subscription>[0-9A-Za-z-]{1,64})"
    r"/resourcegroups/(?P<group>[\w.()-]{0,89}[\w()-])"
    r"/providers/(?P<type>[A-Za-z.]{1,40}/[A-Za-z]{1,30})"
    r"/(?P<name>[0-9A-Za-z](?:[0-9A-Za-z-]{0,126}[0-9A-Za-z])?)",
    re.IGNORECASE,
)
_MAX_SHOWN: Final = 120


class Kind(StrEnum):
    """Workloads, in scanguard's words."""

    CONTAINER_GROUP = "container_group"
    CONTAINER_APP = "container_app"
    CONTAINER_APP_JOB = "container_app_job"

    @property
    def type(self) -> str:
        """The resource type, as Azure writes it."""
        return _TYPES[self]


_TYPES: Final = {
    Kind.CONTAINER_GROUP: "Microsoft.ContainerInstance/containerGroups",
    Kind.CONTAINER_APP: "Microsoft.App/containerApps",
    Kind.CONTAINER_APP_JOB: "Microsoft.App/jobs",
}
_KINDS: Final = {name.lower(): kind for kind, name in _TYPES.items()}


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A checked id; ``text`` keeps the spelling it came in, which is compared lower-cased."""

    text: str
    subscription: str
    resource_group: str
    kind: Kind
    name: str

    @property
    def path(self) -> str:
        """The id as the path of a URL."""
        group = quote(self.resource_group, safe="()")
        return f"/subscriptions/{self.subscription}/resourceGroups/{group}/providers/{self.kind.type}/{self.name}"

    def is_same(self, text: object) -> bool:
        """Whether a text is this id, in any case."""
        return isinstance(text, str) and text.rstrip("/").lower() == self.text.lower()


def owns(resource_id: str) -> bool:
    """Whether an id is of a type that is read here; that it is sound is looked at when it is used."""
    return _LOOKS.fullmatch(resource_id) is not None


def parse_id(text: str) -> ResourceId:
    """Check an id; PlatformError when it could be something else than the id of a workload."""
    found = _ID.fullmatch(text.rstrip("/"))
    kind = _KINDS.get(found["type"].lower()) if found else None
    if found is None or kind is None:
        shown = ascii(text)[:_MAX_SHOWN]
        raise PlatformError(f"{shown} is no id of a container group, container app or job: it is not asked for")
    return ResourceId(found.group(), found["subscription"], found["group"], kind, found["name"])


def outline(resource_id: str) -> Deployment:
    """What the id alone says, for a workload that may not be read; the engine says when. Raises PlatformError."""
    found = parse_id(resource_id)
    return Deployment(
        resource_id=found.text,
        kind=found.kind.value,
        name=found.name,
        subscription=found.subscription,
        resource_group=found.resource_group,
        containers=(),
        seen_at=datetime(1970, 1, 1, tzinfo=UTC),
    )


def subscription_of(resource_id: str) -> str:
    """The subscription of an id, lower-cased; empty when it has none."""
    found = re.match(r"/subscriptions/([^/]{1,64})/", resource_id, re.IGNORECASE)
    return found[1].lower() if found else ""
