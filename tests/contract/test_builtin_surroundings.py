"""The contracts of the built-in event sources and secret stores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import JsonValue

from scanguard.testing.contracts import CANARY, EventSourceContract, SecretStoreContract

RESOURCE = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups/web"
CALLER = "00000000-0000-0000-0000-0000000000aa"
DATA: dict[str, JsonValue] = {
    "operationName": "Microsoft.ContainerInstance/containerGroups/write",
    "resourceUri": RESOURCE,
    "authorization": {"action": "Microsoft.ContainerInstance/containerGroups/write", "evidence": {"role": CANARY}},
    "claims": {
        "http://schemas.microsoft.com/identity/claims/objectidentifier": CALLER,
        "name": CANARY,
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": f"{CANARY}@example.com",
    },
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
    def actor(self) -> str:
        return CALLER

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
    def actor(self) -> str:
        return CALLER

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

    @pytest.fixture
    def unusable(self, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
        monkeypatch.setenv("SCANGUARD_CONTRACT_LONG", CANARY * 10_000)
        return ["SCANGUARD_CONTRACT_LONG"]


class TestFileContract(SecretStoreContract):
    plugin = "scanguard.builtin.plugin"
    name = "file"

    @pytest.fixture
    def known(self, tmp_path: Path) -> str:
        (tmp_path / "secret").write_text(CANARY + "\n", encoding="utf-8")
        return str(tmp_path / "secret")

    @pytest.fixture
    def unusable(self, tmp_path: Path) -> Sequence[str]:
        (tmp_path / "long").write_text(CANARY * 10_000, encoding="utf-8")
        (tmp_path / "binary").write_bytes(CANARY.encode() + b"\xff")
        (tmp_path / CANARY[:4]).mkdir()
        return [str(tmp_path / name) for name in ("long", "binary", CANARY[:4])]

    @pytest.fixture
    def hanging(self, tmp_path: Path) -> str:
        os.mkfifo(tmp_path / "pipe")  # nobody writes to it: who opens it waits for ever
        return str(tmp_path / "pipe")
