"""What the simulated subscriptions hold: workloads, their revisions and executions, and who may read them."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000001"
_TYPES: Final = {
    "microsoft.containerinstance/containergroups": "Microsoft.ContainerInstance/containerGroups",
    "microsoft.app/containerapps": "Microsoft.App/containerApps",
    "microsoft.app/jobs": "Microsoft.App/jobs",
}
_ID: Final = re.compile(r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/providers/([^/]+/[^/]+)/([^/]+)", re.IGNORECASE)

Document = dict[str, Any]


def resource_id(type_: str, name: str, *, subscription: str = SUBSCRIPTION, group: str = "rg-shop") -> str:
    """An id as Azure writes it."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{type_}/{name}"


def group_id(name: str, **where: str) -> str:
    """The id of a container group."""
    return resource_id("Microsoft.ContainerInstance/containerGroups", name, **where)


def app_id(name: str, **where: str) -> str:
    """The id of a container app."""
    return resource_id("Microsoft.App/containerApps", name, **where)


def job_id(name: str, **where: str) -> str:
    """The id of a job."""
    return resource_id("Microsoft.App/jobs", name, **where)


def container_group(name: str, *images: str, init: Sequence[str] = (), **where: str) -> Document:
    """A container group as ``GET`` shows it."""
    return _resource(
        group_id(name, **where),
        {
            "provisioningState": "Succeeded",
            "osType": "Linux",
            "restartPolicy": "Always",
            "containers": [
                {"name": f"c{number}", "properties": {"image": image, "command": [], "environmentVariables": []}}
                for number, image in enumerate(images)
            ],
            "initContainers": [
                {"name": f"i{number}", "properties": {"image": image}} for number, image in enumerate(init)
            ],
            "imageRegistryCredentials": [],
        },
    )


def template(*images: str, init: Sequence[str] = ()) -> Document:
    """The template of an app, a job, a revision or an execution."""
    return {
        "containers": [{"name": f"c{number}", "image": image} for number, image in enumerate(images)],
        "initContainers": [{"name": f"i{number}", "image": image} for number, image in enumerate(init)] or None,
    }


def container_app(name: str, *images: str, init: Sequence[str] = (), **where: str) -> Document:
    """A container app as ``GET`` shows it."""
    properties = {
        "provisioningState": "Succeeded",
        "latestRevisionName": f"{name}--1",
        "configuration": {"activeRevisionsMode": "Single", "registries": [], "secrets": [{"name": "hubpw"}]},
        "template": template(*images, init=init),
    }
    return _resource(app_id(name, **where), properties)


def job(name: str, *images: str, **where: str) -> Document:
    """A job as ``GET`` shows it."""
    properties = {"configuration": {"triggerType": "Manual", "registries": []}, "template": template(*images)}
    return _resource(job_id(name, **where), properties)


def revision(name: str, *images: str, active: bool = True) -> Document:
    """An item of an app's revisions."""
    return {"name": name, "properties": {"active": active, "trafficWeight": 0, "template": template(*images)}}


def execution(name: str, *images: str, status: str = "Running") -> Document:
    """An item of a job's executions."""
    return {"name": name, "properties": {"status": status, "template": template(*images) if images else None}}


def _resource(id_: str, properties: Document) -> Document:
    found = _ID.fullmatch(id_)
    assert found is not None, id_
    return {
        "id": id_,
        "name": found[4],
        "type": _TYPES[found[3].lower()],
        "location": "westeurope",
        "tags": {"env": "prod"},
        "properties": properties,
    }


@dataclass
class World:
    """Everything there is. Change it while the simulator runs; each answer is made of what it holds then.

    Attributes:
        subscriptions: Those that the identity may see, lower-case.
        forbidden: Parts of lower-case paths that are answered with 403.
        hidden: Lower-case ids that Resource Graph leaves out: it is behind, or the role is missing.
    """

    subscriptions: set[str] = field(default_factory=lambda: {SUBSCRIPTION})
    forbidden: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    resources: dict[str, Document] = field(default_factory=dict)
    revisions: dict[str, list[Document]] = field(default_factory=dict)
    executions: dict[str, list[Document]] = field(default_factory=dict)

    def put(self, document: Document) -> str:
        """Create or replace; gives the id."""
        id_ = str(document["id"])
        self.resources[id_.lower()] = copy.deepcopy(document)
        return id_

    def delete(self, id_: str) -> None:
        """Remove."""
        for kept in (self.resources, self.revisions, self.executions):
            kept.pop(id_.lower(), None)

    def below(self, id_: str, what: str) -> list[Document]:
        """Revisions or executions of a resource; an app that was given no revisions has its latest as the only one."""
        if what == "executions":
            return self.executions.get(id_, [])
        if id_ in self.revisions:
            return self.revisions[id_]
        properties = self.resources[id_]["properties"]
        latest = {"active": True, "template": copy.deepcopy(properties["template"])}
        return [{"name": properties.get("latestRevisionName", "r"), "properties": latest}]

    def of(self, subscription: str, type_: str) -> list[Document]:
        """The resources of one type in a subscription."""
        return [
            document
            for id_, document in sorted(self.resources.items())
            if id_.split("/")[2] == subscription and document["type"].lower() == type_
        ]

    def rows(self, subscriptions: Sequence[str], types: Sequence[str]) -> list[Mapping[str, str]]:
        """What Resource Graph would list, by id."""
        wanted = {one.lower() for one in subscriptions} & self.subscriptions
        return [
            {"id": document["id"], "type": document["type"].lower()}
            for id_, document in sorted(self.resources.items())
            if id_.split("/")[2] in wanted and document["type"].lower() in types and id_ not in self.hidden
        ]
