"""Application Insights' ingestion on loopback: takes envelopes and keeps them.

What it is asked, and answers: https://github.com/Azure/azure-rest-api-specs, applicationinsights, v2.1 ``track``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

KEY = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Envelope:
    """One item of telemetry."""

    raw: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.raw["data"]["baseType"])

    @property
    def data(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.raw["data"]["baseData"]
        return found

    @property
    def properties(self) -> Mapping[str, str]:
        return self.data.get("properties") or {}

    @property
    def operation(self) -> str:
        return str(self.raw["tags"].get("ai.operation.id", ""))

    @property
    def parent(self) -> str:
        return str(self.raw["tags"].get("ai.operation.parentId", ""))

    @property
    def role(self) -> str:
        return str(self.raw["tags"].get("ai.cloud.role", ""))


class Ingestion:
    """The endpoint; ``answers`` are given first, then everything is taken."""

    def __init__(self, *answers: Answer) -> None:
        self.envelopes: list[Envelope] = []
        self.requests: list[ReceivedRequest] = []
        self._answers = list(answers)
        self._server = LoopbackServer(self._take)

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey={KEY};IngestionEndpoint={self._server.url}/"

    def of(self, kind: str) -> list[Envelope]:
        return [one for one in self.envelopes if one.kind == kind]

    def events(self, name: str) -> list[Envelope]:
        return [one for one in self.of("EventData") if one.data["name"] == name]

    def metrics(self) -> dict[str, list[Envelope]]:
        found: dict[str, list[Envelope]] = {}
        for one in self.of("MetricData"):
            found.setdefault(one.data["metrics"][0]["name"], []).append(one)
        return found

    @property
    def text(self) -> str:
        """Everything that arrived, heads included."""
        return json.dumps([[one.raw for one in self.envelopes], [dict(one.headers) for one in self.requests]])

    async def _take(self, request: ReceivedRequest) -> Answer:
        self.requests.append(request)
        if self._answers:
            return self._answers.pop(0)
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        items = json.loads(body)
        assert request.method == "POST"
        assert request.path.endswith("/track")
        assert {item["iKey"] for item in items} == {KEY}
        self.envelopes += [Envelope(item) for item in items]
        said = {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}
        return Answer(200, json.dumps(said).encode(), headers={"Content-Type": "application/json"})

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.__aexit__(*exc)
