"""The packaged function app when something is wrong: configuration, messages, storage, callers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azurite import Azurite, azurite
from entra import READER, SENDER, TENANT, Tenant
from function_host import FunctionHost, function_host
from function_package import Packaged, packaged
from function_scene import KEY, Scene, cloud_event, grid_event, principal

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]
JSON = {"content-type": "application/json"}
KEYED = {**JSON, "x-scanguard-key": KEY}


@pytest.fixture(scope="module")
def package() -> Packaged:
    return packaged()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


@pytest.fixture
def scene(storage: Azurite, tmp_path: Path) -> Scene:
    made = Scene(tmp_path, storage)
    made.deploy("api")
    return made


# --- configuration ----------------------------------------------------------------------------------------


def _unknown_key(scene: Scene) -> dict[str, str]:
    scene.configuration["chians"] = {}
    return {}


def _missing_plugin(scene: Scene) -> dict[str, str]:
    scene.configuration["instances"]["other"] = {"plugin": "trivy"}
    return {}


def _embedded(scene: Scene) -> dict[str, str]:
    del scene.configuration["backend"]
    return {}


def _reference(_: Scene) -> dict[str, str]:
    return {"AzureWebJobsStorage__accountName": "@Microsoft.KeyVault(VaultName=v;SecretName=account)"}


def _nothing(_: Scene) -> dict[str, str]:
    return {"SCANGUARD_CONFIG": ""}


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        pytest.param(_unknown_key, "chians", id="unknown key"),
        pytest.param(_missing_plugin, "trivy", id="missing plugin"),
        pytest.param(_embedded, "backend: the embedded store", id="a store of one instance"),
        pytest.param(
            _reference, "did not resolve the Key Vault reference in AzureWebJobsStorage__accountName", id="reference"
        ),
        pytest.param(_nothing, "there is no configuration", id="nothing"),
    ],
)
async def test_with_a_broken_configuration_only_health_is_there_and_nothing_is_taken(
    package: Packaged, scene: Scene, broken: Any, why: str
) -> None:
    prefix = scene.prefix
    environ = {**broken(scene), **{k: v for k, v in scene.settings().items() if k != "SCANGUARD_CONFIG"}}
    environ.setdefault("SCANGUARD_CONFIG", scene.settings()["SCANGUARD_CONFIG"])
    async with function_host(package, environ, scene.folder) as host:
        await host.put(f"{prefix}fresh", "left alone")
        assert list(host.functions) == ["Health"]
        status, _, body = await host.http("GET", "/api/health")
        assert status == 503
        assert json.loads(body)["status"] == "misconfigured"
        assert why in " ".join(json.loads(body)["problems"])
        assert not await host.event(grid_event("api"))
        assert await host.pump() == 0
        assert await host.waiting(f"{prefix}fresh") == ["left alone"]


async def test_health_says_that_all_is_well(package: Packaged, scene: Scene) -> None:
    environ = {
        **scene.settings(),
        "SOME_PASSWORD": "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/p)",
    }
    async with function_host(package, environ, scene.folder) as host:
        status, headers, body = await host.http("GET", "/api/health")
        assert (status, headers["cache-control"]) == (200, "no-store")
        assert json.loads(body) == {"status": "ready", "unresolved_key_vault_references": ["SOME_PASSWORD"]}


async def test_the_configuration_may_be_a_blob_read_with_the_identity(package: Packaged, scene: Scene) -> None:
    asked: list[str] = []

    async def serve(request: ReceivedRequest) -> Answer:
        asked.append(request.path)
        if request.path.startswith("/msi"):
            assert request.headers["x-identity-header"] == "secret of the platform"
            told = {"access_token": "a-token", "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}
            return Answer(200, json.dumps(told).encode(), {"content-type": "application/json"})
        assert request.headers["authorization"] == "Bearer a-token"
        assert request.headers["x-ms-version"]
        return Answer(200, json.dumps(scene.configuration).encode())

    async with LoopbackServer(serve) as server:
        environ = {
            **scene.settings(),
            "SCANGUARD_CONFIG": "",
            "SCANGUARD_CONFIG_BLOB": f"{server.url}/config/scanguard.yaml",
            "IDENTITY_ENDPOINT": f"{server.url}/msi/token",
            "IDENTITY_HEADER": "secret of the platform",
        }
        async with function_host(package, environ, scene.folder) as host:
            assert "FreshLane" in host.functions, await host.http("GET", "/api/health")
        assert len(asked) == 2


async def test_a_blob_that_cannot_be_read_is_told(package: Packaged, scene: Scene) -> None:
    async def serve(request: ReceivedRequest) -> Answer:
        told = {"access_token": "a-token", "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}
        is_token = request.path.startswith("/msi")
        return Answer(200, json.dumps(told).encode(), JSON) if is_token else Answer(403, b"a body with a secret")

    async with LoopbackServer(serve) as server:
        environ = {
            **scene.settings(),
            "SCANGUARD_CONFIG": "",
            "SCANGUARD_CONFIG_BLOB": f"{server.url}/config/scanguard.yaml",
            "IDENTITY_ENDPOINT": f"{server.url}/msi/token",
            "IDENTITY_HEADER": "x",
        }
        async with function_host(package, environ, scene.folder) as host:
            assert list(host.functions) == ["Health"]
            _, _, body = await host.http("GET", "/api/health")
            assert "Storage Blob Data Reader" in body
            assert "a body with a secret" not in body + host.worker.log()


# --- messages ---------------------------------------------------------------------------------------------


async def _exhaust(host: FunctionHost, scene: Scene, queue: str) -> None:
    """Let the host try until the message is somewhere else."""
    for _ in range(200):
        if not await host.depth(f"{scene.prefix}{queue}"):
            return
        await host.run(0.3)
    pytest.fail(f"{host.calls}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("no message", id="garbage"),
        pytest.param('{"schema_version": 99, "kind": "scan", "id": "x"}', id="newer"),
        pytest.param('{"kind": "intake", "id": "x", "body": {"event": {}}}', id="no event"),
    ],
)
async def test_a_message_nobody_can_read_is_tried_poisoned_and_kept_without_a_loop(
    package: Packaged, scene: Scene, text: str
) -> None:
    async with function_host(package, scene.settings(), scene.folder, max_dequeue_count=3, visibility_s=0) as host:
        await host.put(f"{scene.prefix}fresh", text)
        await _exhaust(host, scene, "fresh")
        await host.run(1.5)
        handled = [(call.function, call.ok) for call in host.calls]
        assert handled == [*[("FreshLane", False)] * 3, ("FreshPoison", True)]
        assert await host.waiting(f"{scene.prefix}unreadable") == [text]
        assert await host.depth(f"{scene.prefix}fresh-poison") == 0


async def test_a_poison_message_with_attempts_left_is_taken_up_again(package: Packaged, scene: Scene) -> None:
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert await host.event(grid_event("api"))
        (text,) = await host.waiting(f"{scene.prefix}fresh")
        await host.put(f"{scene.prefix}fresh-poison", text)
        await host.pump("FreshPoison")
        assert await host.depth(f"{scene.prefix}fresh-poison") == 0
        assert await host.depth(f"{scene.prefix}fresh") == 2

        async def is_done() -> bool:
            return bool(scene.verdicts())

        await host.run(60, until=is_done)
        assert len(scene.verdicts()) == 1


async def test_a_message_that_ends_every_worker_becomes_a_dead_letter_that_can_be_replayed(
    package: Packaged, scene: Scene
) -> None:
    scene.configuration["engine"]["attempts"] = 2
    scene.with_server()
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert await host.event(grid_event("api"))
        (text,) = await host.waiting(f"{scene.prefix}fresh")
        for _ in range(2):
            await host.put(f"{scene.prefix}fresh-poison", text)
            await host.pump("FreshPoison")
        await host._queues.get_queue_client(f"{scene.prefix}fresh").clear_messages()
        await host.put(f"{scene.prefix}fresh", json.dumps({"kind": "assess", "id": json.loads(text)["id"]}))
        await host.run(1)
        assert scene.verdicts() == []
        status, _, _ = await host.http("POST", "/api/replay", headers=JSON, body="{}")
        assert status == 401
        status, _, body = await host.http("POST", "/api/replay", headers=KEYED, body='{"kind": "assessment"}')
        assert (status, json.loads(body)["replayed"]) == (200, 1)

        async def is_done() -> bool:
            return bool(scene.verdicts())

        await host.run(60, until=is_done)
        assert len(scene.verdicts()) == 1


async def test_a_large_message_is_read_from_where_it_was_put(package: Packaged, scene: Scene) -> None:
    event = grid_event(
        "api", httpRequest={"filler": "x" * 60_000}, claims={"appid": "00000000-0000-0000-0000-00000000000a"}
    )
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert await host.event(event)
        (text,) = await host.waiting(f"{scene.prefix}fresh")
        assert len(text) < 48 * 1024
        assert "filler" not in text


# --- storage ----------------------------------------------------------------------------------------------


async def test_without_storage_nothing_is_acknowledged(package: Packaged, tmp_path: Path) -> None:
    with azurite(tmp_path) as storage:
        scene = Scene(tmp_path / "scene", storage).with_server()
        scene.deploy("api")
        scene.configuration["backend"] |= {"retries": 0, "connect_timeout_s": 1, "read_timeout_s": 2}
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert not await host.event(grid_event("api"))
        status, headers, _ = await host.http("POST", "/api/events", headers=KEYED, body=json.dumps([grid_event("api")]))
        assert (status, headers["retry-after"]) == (503, "30")
        status, _, body = await host.http("GET", "/api/health")
        assert (status, json.loads(body)["status"]) == (503, "not ready")
        assert not await host.tick()


# --- events -----------------------------------------------------------------------------------------------


async def test_events_of_others_are_acknowledged_and_broken_ones_left_to_event_grid(
    package: Packaged, scene: Scene
) -> None:
    others = [
        {**grid_event("api"), "eventType": "Microsoft.Storage.BlobCreated"},
        grid_event("api", operationName="Microsoft.Resources/tags/write"),
        {"id": "1", "eventType": "", "data": None},
    ]
    broken = [
        {
            **grid_event("api"),
            "data": {"resourceUri": "https://not.an.id", "operationName": "Microsoft.App/jobs/write"},
        },
        {**grid_event("api"), "id": "x" * 100_000},
        grid_event("api", deep=json.loads("[" * 90 + "]" * 90)),
    ]
    async with function_host(package, scene.settings(), scene.folder) as host:
        for event in others:
            assert await host.event(event), event
        for event in broken:
            assert not await host.event(event), event
        assert await host.depth(f"{scene.prefix}fresh") == 0


async def test_events_over_http_need_credentials_and_handshakes_are_answered(package: Packaged, scene: Scene) -> None:
    scene.with_server()
    validation = [
        {"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d"}}
    ]
    async with function_host(package, scene.settings(), scene.folder) as host:
        status, _, _ = await host.http("POST", "/api/events", headers=JSON, body=json.dumps([cloud_event("api")]))
        assert status == 401
        status, _, body = await host.http("POST", "/api/events", headers=KEYED, body=json.dumps(validation))
        assert (status, json.loads(body)) == (200, {"validationResponse": "512d"})
        origin = {"webhook-request-origin": "eventgrid.azure.net", "x-scanguard-key": KEY}
        status, headers, _ = await host.http("OPTIONS", "/api/events", headers=origin)
        assert (status, headers["webhook-allowed-origin"]) == (200, "eventgrid.azure.net")
        kind = {**KEYED, "content-type": "application/cloudevents-batch+json"}
        status, _, body = await host.http("POST", "/api/events", headers=kind, body=json.dumps([cloud_event("api")]))
        assert (status, len(json.loads(body)["accepted"])) == (200, 1)
        assert await host.depth(f"{scene.prefix}fresh") == 1
        status, _, _ = await host.http("POST", "/api/events", query={"code": KEY}, headers=JSON, body="[")
        assert status == 400
        status, _, _ = await host.http("POST", "/api/events", headers=KEYED, body="x" * (1024 * 1024 + 1))
        assert status == 413


async def test_nothing_is_served_over_http_where_nobody_would_have_to_show_anything(
    package: Packaged, scene: Scene
) -> None:
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert set(host.triggers("httpTrigger")) == {"Health", "Approvals"}
        status, _, body = await host.http("GET", "/api/approvals/1")
        assert (status, json.loads(body)["type"]) == (501, "urn:scanguard:problem:not-implemented")


# --- reports ----------------------------------------------------------------------------------------------


async def test_reports_are_for_those_who_signed_in(package: Packaged, scene: Scene) -> None:
    tenant = Tenant()
    async with tenant.server:
        scene.configuration["server"] = {"entra": tenant.settings()}
        person = principal({"tid": TENANT, "oid": "a-person", "roles": ["scanguard.read"]})
        async with function_host(package, scene.settings(), scene.folder) as host:
            assert await host.event(grid_event("api"))
            (text,) = await host.waiting(f"{scene.prefix}fresh")
            path = f"/api/reports/{json.loads(text)['id']}"

            async def is_done() -> bool:
                return (await host.http("GET", path, headers=_bearer(tenant, READER)))[0] == 200

            await host.run(60, until=is_done)
            status, _, body = await host.http("GET", path, headers=_bearer(tenant, READER))
            assert status == 200
            assert json.loads(body)["verdicts"][0]["deployment"]["name"] == "api"
            assert json.loads(body)["deliveries"]
            refused = {
                "nobody": {},
                "another application": _bearer(tenant, SENDER),
                "a forged principal": {"x-ms-client-principal": person},
            }
            for who, headers in refused.items():
                assert (await host.http("GET", path, headers=headers))[0] in (401, 403), who
        scene.environ["WEBSITE_AUTH_ENABLED"] = "True"
        async with function_host(package, scene.settings(), scene.folder) as host:
            answers = {
                person: 200,
                principal({"tid": TENANT, "oid": "a-person"}): 403,
                principal({"tid": SENDER, "oid": "a-person", "roles": ["scanguard.read"]}): 403,
                principal({"tid": TENANT, "roles": ["scanguard.read"]}, kind="google"): 403,
                "not base64": 403,
            }
            for header, wanted in answers.items():
                status, _, _ = await host.http("GET", path, headers={"x-ms-client-principal": header})
                assert status == wanted, header
            status, _, _ = await host.http(
                "POST", "/api/replay", headers={**JSON, "x-ms-client-principal": person}, body="{}"
            )
            assert status == 403


def _bearer(tenant: Tenant, application: str) -> dict[str, str]:
    return {"authorization": f"Bearer {tenant.token(azp=application)}"}
