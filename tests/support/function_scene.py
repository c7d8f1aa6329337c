"""A place for a function app to work in: queues, tables and a container of its own, and what runs there."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from azurite import Azurite
from oci_archive import Entry, archive, build_image, layer_tar

SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000001"
KEY: Final = "a key for tests, long enough"


@dataclass(slots=True)
class Scene:
    """One function app's surroundings; ``configuration`` may be changed before a host starts."""

    folder: Path
    storage: Azurite
    configuration: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = uuid.uuid4().hex[:10]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configuration = {
            "version": 1,
            "backend": {
                "plugin": "azure_storage",
                "connection_string": "env:AzureWebJobsStorage",
                "queue_prefix": f"q{name}-",
                "table_prefix": f"T{name}",
                "container": f"c{name}",
            },
            "instances": {
                "rehearsal": {
                    "plugin": "scripted", "latency_s": 1.5, "poll_s": 0.5, "findings": 3,
                    "journal": str(self.folder / "journal.jsonl"),
                },
                "deployments": {"plugin": "static", "file": str(self.folder / "deployments.yaml")},
                "files": {"plugin": "json_files", "folder": str(self.folder / "results")},
            },
            "chains": {
                "default": {"scanners": ["rehearsal"], "policies": [{"plugin": "threshold"}], "sinks": ["files"]}
            },
            "engine": {"backoff_s": 0.5, "max_backoff_s": 2},
        }  # fmt: skip

    @property
    def prefix(self) -> str:
        """What this app's queues are named by."""
        return str(self.configuration["backend"]["queue_prefix"])

    def settings(self) -> dict[str, str]:
        """The app settings."""
        return {
            "AzureWebJobsStorage": self.storage.connection_string,
            "SCANGUARD_CONFIG": json.dumps(self.configuration),
            "SCANGUARD_DATA_DIR": str(self.folder / "data"),
            **self.environ,
        }

    def deploy(self, *names: str) -> None:
        """Let deployments run, each with an image of its own."""
        told = []
        for name in names:
            image = build_image(
                [layer_tar([Entry("name", name.encode())], mtime=0)], created="2024-10-10T00:00:00Z", config={}
            )
            path = self.folder / f"{name}.tar"
            path.write_bytes(archive(image, name=name, mtime=0))
            container = {"name": "web", "image": f"oci-archive:{path}"}
            told.append(
                {"resource_id": resource(name), "kind": "container_app", "name": name, "containers": [container]}
            )
        (self.folder / "deployments.yaml").write_text(yaml.safe_dump({"deployments": told}), encoding="utf-8")

    def with_server(self, **server: Any) -> Scene:
        """Let the HTTP functions in, with a shared key for everything unless told otherwise."""
        self.environ["SERVER_KEY"] = KEY
        keys = [{"secret": "env:SERVER_KEY", "allow": ["events", "read", "replay"]}]
        self.configuration["server"] = {"keys": keys, **server}
        return self

    def calls(self, kind: str) -> list[dict[str, Any]]:
        """What the scanner was asked, of one kind."""
        journal = self.folder / "journal.jsonl"
        lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
        return [call for line in lines if (call := json.loads(line))["call"] == kind]

    def verdicts(self) -> list[dict[str, Any]]:
        """What the sink holds."""
        found = (self.folder / "results").rglob("*.json")
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def resource(name: str) -> str:
    """A container app's resource id."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.App/containerApps/{name}"


def grid_event(name: str, *, id: str = "", **data: Any) -> dict[str, Any]:
    """As Event Grid says that a container app was written.

    See https://learn.microsoft.com/en-us/azure/event-grid/event-schema-subscriptions.
    """
    return {
        "id": id or f"event-{name}",
        "topic": f"/subscriptions/{SUBSCRIPTION}",
        "subject": resource(name),
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-03-01T18:38:04.6359418Z",
        "dataVersion": "2",
        "metadataVersion": "1",
        "data": {"resourceUri": resource(name), "operationName": "Microsoft.App/containerApps/write", **data},
    }


def cloud_event(name: str) -> dict[str, Any]:
    """The same as a CloudEvent (https://learn.microsoft.com/en-us/azure/event-grid/cloud-event-schema)."""
    event = grid_event(name)
    return {
        "specversion": "1.0",
        "id": f"cloud-{name}",
        "source": event["topic"],
        "type": event["eventType"],
        "subject": event["subject"],
        "time": event["eventTime"],
        "data": event["data"],
    }


def principal(claims: Mapping[str, str | list[str]], kind: str = "aad") -> str:
    """What the platform writes into X-MS-CLIENT-PRINCIPAL."""
    pairs = [(name, one) for name, value in claims.items() for one in ([value] if isinstance(value, str) else value)]
    told = {"auth_typ": kind, "claims": [{"typ": name, "val": value} for name, value in pairs]}
    return base64.b64encode(json.dumps(told).encode()).decode()
