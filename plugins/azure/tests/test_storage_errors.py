"""What the service answers becomes an error of ours that says what to do, and shows nothing that it must not."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from azurite import ACCOUNT, KEY
from pydantic import ValidationError
from scanguard_azure.storage_config import StorageConfig
from storage_rig import Account

from scanguard.errors import BackendError, ConflictError
from scanguard.ports import Backend, Lane, Message, MessageKind, Outgoing, Row
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

PRIVATE = "what the answer says is not ours to show"


async def looked_for_work(ports: Backend) -> None:
    """As an idle worker does: nothing in an answer that is none looks like an empty queue."""
    if not await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=1):
        await ports.queue.next_visible([Lane.FRESH])


CALLS: dict[str, Callable[[Backend], Awaitable[object]]] = {
    "table": lambda ports: ports.state.get("t", "p"),
    "insert": lambda ports: ports.state.insert(Row("t", "p", "", {})),
    "queue": lambda ports: ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))]),
    "receive": looked_for_work,
    "blob": lambda ports: ports.reports.put("a", b""),
    "get": lambda ports: ports.reports.get("a"),
}


class Service:
    """All three services, which answer every request in one way."""

    def __init__(self) -> None:
        self.answer = Answer(200)
        self.requests: list[ReceivedRequest] = []

    def says(self, status: int, code: str, **headers: str) -> None:
        """Answer so: tables name the code in the body, the others in a header."""
        body = json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": PRIVATE}}})
        named = {"Content-Type": "application/json", "x-ms-error-code": code, **headers}
        self.answer = Answer(status, body.encode(), named)

    async def handle(self, request: ReceivedRequest) -> Answer:
        assert f"SharedKey {ACCOUNT}:" in request.headers["authorization"]
        self.requests.append(request)
        return self.answer


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    found = Service()
    async with LoopbackServer(found.handle) as server:
        endpoints = ";".join(f"{name}Endpoint={server.url}/{ACCOUNT}" for name in ("Blob", "Queue", "Table"))
        yield found, f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints};"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        pytest.param(403, "AuthorizationPermissionMismatch", "Storage (Table|Queue|Blob) Data Contributor", id="role"),
        pytest.param(403, "AuthorizationFailure", "network rules", id="network"),
        pytest.param(403, "KeyBasedAuthenticationNotPermitted", "takes no keys", id="keys off"),
        pytest.param(403, "AuthenticationFailed", "this machine's clock", id="wrong key"),
        pytest.param(403, "SomethingNew", "check the role", id="refused in a new way"),
        pytest.param(429, "", "throttled", id="429"),
        pytest.param(503, "ServerBusy", "throttled", id="busy"),
        pytest.param(500, "OperationTimedOut", "took too long", id="timed out"),
        pytest.param(500, "InternalError", "service failed", id="failed"),
        pytest.param(507, "", "full", id="full"),
        pytest.param(418, "", "answered 418", id="anything else"),
    ],
)
async def test_a_refusal_says_why_and_what_to_do(
    service: tuple[Service, str], call: str, status: int, code: str, says: str
) -> None:
    service[0].says(status, code)
    async with asyncio.timeout(10), Account.new(service[1], retries=0).open() as ports:
        with pytest.raises(BackendError, match=says) as told:
            await CALLS[call](ports)
    assert not isinstance(told.value, ConflictError)
    assert PRIVATE not in str(told.value)
    assert KEY not in str(told.value)


@pytest.mark.parametrize("call", ["table", "queue", "blob"])
async def test_what_is_missing_is_named_and_not_made_unless_asked_for(service: tuple[Service, str], call: str) -> None:
    kind = {"table": "Table", "queue": "Queue", "blob": "Container"}[call]
    service[0].says(404, f"{kind}NotFound")
    account = Account.new(service[1], retries=0, create=False)
    async with account.open() as ports:
        with pytest.raises(BackendError, match=r"is missing: deploy it, or set `create: true` and grant 'Storage"):
            await CALLS[call](ports)
    assert len(service[0].requests) == 1


async def test_how_long_to_wait_is_told(service: tuple[Service, str]) -> None:
    service[0].says(503, "ServerBusy", **{"Retry-After": "7"})
    async with Account.new(service[1], retries=0).open() as ports:
        with pytest.raises(BackendError) as told:
            await ports.state.get("t", "p")
    assert told.value.retry_after_s == 7


async def test_a_throttled_request_is_tried_again(service: tuple[Service, str]) -> None:
    service[0].says(503, "ServerBusy")
    async with Account.new(service[1], retries=1).open() as ports:
        with pytest.raises(BackendError):
            await ports.state.get("t", "p")
    assert len(service[0].requests) == 2


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer.garbage(), id="no HTTP"),
        pytest.param(Answer(200, b"<html>captive portal</html>", {"Content-Type": "text/html"}), id="a portal"),
        pytest.param(Answer(200, b"\x00\xff", {"Content-Type": "application/json"}), id="bytes"),
        pytest.param(Answer.cut_off(b'{"a": 1}' * 100, 20), id="cut off"),
        pytest.param(Answer(302, headers={"Location": "http://127.0.0.1:1/"}), id="a redirect"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*Connection.__del__:pytest.PytestUnraisableExceptionWarning")
async def test_garbage_is_an_error_of_ours(service: tuple[Service, str], call: str, answer: Answer) -> None:
    service[0].answer = answer
    async with asyncio.timeout(20), Account.new(service[1], retries=0, read_timeout_s=2).open() as ports:
        with pytest.raises(BackendError):
            await CALLS[call](ports)
    gc.collect()  # the library leaves an answer unread that it trips over; its connection ends here


async def test_a_service_that_never_answers_is_given_up(service: tuple[Service, str]) -> None:
    service[0].answer = Answer(delay_s=60)
    async with asyncio.timeout(10), Account.new(service[1], retries=0, read_timeout_s=0.3).open() as ports:
        for call in CALLS.values():
            with pytest.raises(BackendError, match="does not answer"):
                await call(ports)


async def test_a_secret_that_is_no_connection_string_is_not_shown() -> None:
    async with Account.new("hunter2").open() as ports:
        with pytest.raises(BackendError, match="env:STORAGE holds no connection string") as told:
            await ports.state.get("t", "p")
    assert "hunter2" not in f"{told.value!r} {told.value.__cause__!r}"


async def test_nothing_is_asked_before_a_port_is_called_and_closing_twice_is_no_error(
    service: tuple[Service, str],
) -> None:
    async with Account.new(service[1]).open():
        pass
    assert service[0].requests == []


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"account": "a" * 5, "connection_string": "env:X"}, id="both"),
        pytest.param({"account": "UPPER"}, id="no account name"),
        pytest.param({"account": "abc", "queue_prefix": "a--b"}, id="no queue name"),
        pytest.param({"account": "abc", "queue_prefix": "-a"}, id="a dash first"),
        pytest.param({"account": "abc", "table_prefix": "1a"}, id="a digit first"),
        pytest.param({"account": "abc", "table_prefix": "a_b"}, id="no table name"),
        pytest.param({"account": "abc", "container": "ab"}, id="too short"),
        pytest.param({"account": "abc", "container": "Abc"}, id="no container name"),
        pytest.param({"account": "abc", "table_endpoint": "https://user:pass@host"}, id="a password in an address"),
        pytest.param({"account": "abc", "tabel_prefix": "a"}, id="a typo"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StorageConfig.model_validate(options)


def test_addresses_are_those_of_the_cloud_unless_given() -> None:
    config = StorageConfig(account="abc", cloud="china", queue_endpoint="https://queue.test/abc")
    assert config.endpoint("table") == "https://abc.table.core.chinacloudapi.cn"
    assert config.endpoint("queue") == "https://queue.test/abc"
    assert not config.creates
    assert config.queue(Lane.HEAVY) == "scanguard-heavy"
    assert config.table("State") == "ScanguardState"
