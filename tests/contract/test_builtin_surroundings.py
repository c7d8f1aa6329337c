"""The contracts of the built-in event sources and secret stores."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from scanguard.testing.contracts import CANARY, EventSourceContract, SecretStoreContract

RESOURCE = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups/web"
DATA: dict[str, JsonValue] = {
    "operationName": "Microsoft.ContainerInstance/containerGroups/write",
    "resourceUri": RESOURCE,
    "authorization": {"action": "Microsoft.ContainerInstance/containerGroups/write", "evidence": {"role": CANARY}},
    "claims": {"name": CANARY, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": f"{CANARY}@example.com"},
    "httpRequest": {"clientIpAddress": CANARY},
}
WRITTEN = "Microsoft.Resources.ResourceWriteSuccess"


class TestEventgridContract(EventSourceContract):
    plugin = "scanguard.builtin.plugin"
    name = "eventgrid"

    @pytest.fixture
    def event(self) -> dict[str, JsonValue]:
        time = "2026-03-01T18:38:04.6117357Z"
        return {"id": "1", "topic": "/subscriptions/s", "eventType": WRITTEN, "eventTime": time, "data": DATA}

    @pytest.fixture
    def other(self, event: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return {**event, "eventType": "Microsoft.Resources.ResourceDeleteSuccess"}


class TestCloudeventsContract(EventSourceContract):
    plugin = "scanguard.builtin.plugin"
    name = "cloudevents"

    @pytest.fixture
    def event(self) -> dict[str, JsonValue]:
        time = "2026-03-01T18:38:04Z"
        head = {"specversion": "1.0", "id": "1", "source": "/subscriptions/s", "type": WRITTEN, "time": time}
        return {**head, "data": DATA}

    @pytest.fixture
    def other(self, event: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return {**event, "type": "com.example.something"}


class TestEnvContract(SecretStoreContract):
    plugin = "scanguard.builtin.plugin"
    name = "env"

    @pytest.fixture
    def known(self, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("SCANGUARD_CONTRACT_SECRET", CANARY)
        return "SCANGUARD_CONTRACT_SECRET"


class TestFileContract(SecretStoreContract):
    plugin = "scanguard.builtin.plugin"
    name = "file"

    @pytest.fixture
    def known(self, tmp_path: Path) -> str:
        (tmp_path / "secret").write_text(CANARY + "\n", encoding="utf-8")
        return str(tmp_path / "secret")
