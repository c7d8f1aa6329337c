"""All of Azure that a deployment's way needs, on this machine: storage, registry, Resource Manager, identity, scanner.

Storage is a real Azurite, the registry a real docker-registry, the credential the real ``DefaultAzureCredential``;
Resource Manager and Qualys are simulators that check what they are asked, over TLS; the receivers are real servers.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trustme
import yaml
from arm_simulator import ArmSimulator
from arm_world import SUBSCRIPTION, World
from azurite import Azurite
from managed_identity import ManagedIdentity
from oci_archive import Entry, build_image, layer_tar
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from registries import Registry
from scanguard_qualys.simulator import QualysSimulator, Scenario

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

SECRET: Final = "whsec_" + base64.b64encode(b"a webhook's key, for tests").decode()
SCAN_S: Final = 180.0
FINDINGS: Final = 8


@dataclass
class AzureScene:
    """One tenant; everything of it has names of its own, so that scenes share an Azurite."""

    folder: Path
    storage: Azurite
    registry: Registry
    arm: ArmSimulator
    identity: ManagedIdentity
    qualys: QualysSimulator
    hook: LoopbackServer
    traces: LoopbackServer
    ca_file: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:10])

    @property
    def world(self) -> World:
        """What Resource Manager shows."""
        return self.arm.world

    def configuration(self, **qualys: Any) -> dict[str, Any]:
        """As a user would write it: scanner Qualys, one subscription, results in Storage, a webhook."""
        account = {"connection_string": "env:AzureWebJobsStorage"}
        return {
            "version": 1,
            "backend": {
                "plugin": "azure_storage", **account, "queue_prefix": f"q{self.name}-",
                "table_prefix": f"T{self.name}", "container": f"c{self.name}",
            },
            "instances": {
                "azure": {
                    "plugin": "azure", "subscriptions": [SUBSCRIPTION], "management_url": self.arm.url,
                    "inventory_every": None,
                },
                "qualys": {
                    "plugin": "qualys", "mode": "platform", "url": self.qualys.url, "registry_id": "1",
                    "username": "env:QUALYS_USER", "password": "env:QUALYS_PASSWORD", "poll_interval_s": 1,
                    "quota": ["1000/m"], **qualys,
                },
                "results": {
                    "plugin": "azure_results", **account, "container": f"r{self.name}", "table": f"R{self.name}",
                    "recent_table": f"R{self.name}Recent",
                },
                "tickets": {
                    "plugin": "webhook", "url": f"{self.hook.url}/hook", "secrets": ["env:HOOK_SECRET"],
                    "ca_file": str(self.ca_file),
                },
            },
            "chains": {
                "default": {
                    "scanners": ["qualys"],
                    "policies": [{"plugin": "threshold", "fail": {"severity": "LOW"}}],
                    "sinks": ["results"],
                    "notifiers": [{"use": "tickets", "only": "all"}],
                }
            },
            "registries": {"insecure": [self.registry.host], "ca_file": str(self.ca_file)},
            "engine": {"backoff_s": 0.5, "max_backoff_s": 2},
        }  # fmt: skip

    def settings(self, **qualys: Any) -> dict[str, str]:
        """The app settings of the function app; the command line takes the same."""
        return {
            "AzureWebJobsStorage": self.storage.connection_string,
            "SCANGUARD_CONFIG": json.dumps(self.configuration(**qualys)),
            "SCANGUARD_DATA_DIR": str(self.folder / "data"),
            "QUALYS_USER": "sim-user",
            "QUALYS_PASSWORD": "sim-password",
            "HOOK_SECRET": SECRET,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.traces.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRICS_EXPORTER": "none",
            **self.identity.environment,
        }

    def command_environment(self) -> dict[str, str]:
        """For ``scanguard`` beside the app: its configuration in a file, and no telemetry."""
        file = self.folder / "scanguard.yaml"
        file.write_text(yaml.safe_dump(self.configuration()), encoding="utf-8")
        quiet = {"OTEL_SDK_DISABLED": "true", "SCANGUARD_CONFIG": str(file)}
        return {**os.environ, **self.settings(), **quiet}

    def push(self, name: str) -> tuple[str, str]:
        """Push an image; the name that a workload runs it by, and its digest."""
        layers = [layer_tar([Entry("etc/name", f"{self.name}/{name}".encode())], mtime=0)]
        image = build_image(layers, created="2024-10-10T00:00:00Z", config={})
        digest = self.registry.push(image, f"{self.name}/{name}", "1")
        return f"{self.registry.host}/{self.name}/{name}:1", digest

    def spans(self) -> Iterator[Span]:
        """Every span that arrived at the collector."""
        for request in self.traces.requests:
            if request.path == "/v1/traces":
                told = ExportTraceServiceRequest.FromString(request.body)
                for resource in told.resource_spans:
                    for scope in resource.scope_spans:
                        yield from scope.spans


def written(id_: str, event: str = "", *, deleted: bool = False) -> dict[str, Any]:
    """As Event Grid tells of a resource (https://learn.microsoft.com/en-us/azure/event-grid/event-schema-subscriptions).

    With the caller's claims, of which nothing but an id may be kept.
    """
    kind, verb = "/".join(id_.split("/")[6:8]), "Delete" if deleted else "Write"
    return {
        "id": event or f"{verb}-{id_.rpartition('/')[2]}",
        "topic": f"/subscriptions/{SUBSCRIPTION}",
        "subject": id_,
        "eventType": f"Microsoft.Resources.Resource{verb}Success",
        "eventTime": "2026-03-01T18:38:04.6359418Z",
        "dataVersion": "2",
        "metadataVersion": "1",
        "data": {
            "authorization": {"scope": id_, "action": f"{kind}/{verb.lower()}", "evidence": {"role": "Contributor"}},
            "claims": {
                "http://schemas.microsoft.com/identity/claims/objectidentifier": "00000000-0000-0000-0000-0000000000aa",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "jane.doe@example.com",
            },
            "correlationId": "00000000-0000-0000-0000-0000000000cc",
            "resourceProvider": kind.partition("/")[0],
            "resourceUri": id_,
            "operationName": f"{kind}/{verb.lower()}",
            "status": "Succeeded",
            "subscriptionId": SUBSCRIPTION,
            "tenantId": "00000000-0000-0000-0000-0000000000ee",
        },
    }


@asynccontextmanager
async def azure_scene(
    folder: Path, storage: Azurite, registry: Registry, scenario: Scenario | None = None
) -> AsyncIterator[AzureScene]:
    """A scene that lasts as long as the block. A scan takes three minutes, compressed to a moment."""
    async with AsyncExitStack() as stack:
        scanner = scenario or Scenario(latency_s=SCAN_S, speed=60.0, findings=FINDINGS)
        identity = await stack.enter_async_context(ManagedIdentity())
        arm = await stack.enter_async_context(ArmSimulator())
        qualys = await stack.enter_async_context(QualysSimulator(scanner))
        authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        hook = await stack.enter_async_context(LoopbackServer(_taken, tls=tls))
        traces = await stack.enter_async_context(LoopbackServer(_taken))
        ca_file = folder / "authorities.pem"
        ca_file.write_bytes(arm.ca_file.read_bytes() + qualys.ca_file.read_bytes() + authority.cert_pem.bytes())
        yield AzureScene(folder, storage, registry, arm, identity, qualys, hook, traces, ca_file)


async def _taken(request: ReceivedRequest) -> Answer:
    return Answer(200)
