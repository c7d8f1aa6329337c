"""A simulated Resource Manager: HTTPS on loopback, with bearer tokens, limits, paging, and faults on demand.

It checks what it receives: a token for its audience, an ``api-version``, nothing in a path that would be decoded
twice. ``python arm_simulator.py --port N --ca-file FILE --identity-port N`` serves it to other processes, which change
its world by ``PUT`` and ``DELETE`` at ``/__simulator__/world`` + id, ``PUT /__simulator__/faults``, and read
``/__simulator__/state``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import re
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from arm_faults import Fault, TokenBucket, first, json_answer, refusal, spoiled
from arm_world import World
from managed_identity import ManagedIdentity, claims_of

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

AUDIENCE: Final = "https://management.azure.com"
GRAPH: Final = "/providers/microsoft.resourcegraph/resources"
CONTROL: Final = "/__simulator__/"
_VERSION: Final = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
_TYPED: Final = re.compile(
    r"(?P<id>/subscriptions/[^/]+/resourcegroups/[^/]+/providers/[^/]+/[^/]+/[^/]+)(/(?P<below>revisions|executions))?"
)
_LIST: Final = re.compile(r"/subscriptions/(?P<subscription>[^/]+)/providers/(?P<type>[^/]+/[^/]+)")


class ArmSimulator:
    """Serves a world; use it with ``async with``, or :func:`arm_in_a_thread`.

    Attributes:
        world: What there is.
        faults: What goes wrong; the first that matches.
        bucket: The limit on reads; None for no limit.
        graph_quota: Queries that Resource Graph still answers before it says 429; None for no limit.
        graph_headers: Further headers of its answers.
        graph_answer: Answered instead of rows.
        page_size: Items of a page of revisions or executions.
        next_link: Sent as the address of the next page, whatever it is.
        revoked: Tokens that are not accepted any more.
        tokens: Tokens that were sent.
        date: Sent as ``Date``; nothing by default.
        asked: Set once anything was asked.
        calls: How often each was asked for: method and lower-case path.
        statuses: How often each status was answered; 0 for what was no HTTP.
        queries: Bodies of the queries of Resource Graph.
        ca_file: The certificate to trust.
    """

    def __init__(
        self, world: World | None = None, *, port: int = 0, ca_file: Path | None = None, seed: int = 0
    ) -> None:
        self.world = world or World()
        self.faults: list[Fault] = []
        self.bucket: TokenBucket | None = None
        self.graph_quota: int | None = None
        self.graph_headers: dict[str, str] = {}
        self.graph_answer: dict[str, Any] | None = None
        self.page_size = 100
        self.next_link: object = None
        self.revoked: set[str] = set()
        self.tokens: set[str] = set()
        self.date = ""
        self.asked = asyncio.Event()
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.queries: list[dict[str, Any]] = []
        self.ca_file = ca_file or Path()
        self._chance = random.Random(seed)  # noqa: S311  # which requests go wrong
        self._port = port
        self._stack = AsyncExitStack()
        self._server: LoopbackServer | None = None

    async def __aenter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.ca_file = self.ca_file if self.ca_file.name else folder / "arm-ca.pem"
        server = LoopbackServer(self._handle, tls=_certified(self.ca_file), port=self._port)
        self._server = await self._stack.enter_async_context(server)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """``https://127.0.0.1:port``."""
        assert self._server is not None, "use it in `async with`"
        return self._server.url

    async def _handle(self, request: ReceivedRequest) -> Answer:
        if self._server is not None:
            self._server.requests.clear()  # what matters is counted, and this list has no end
        if request.path.startswith(CONTROL):
            return self._controlled(request)
        path = request.path.lower()
        self.calls[f"{request.method} {path}"] += 1
        self.asked.set()
        fault = first(self.faults, path, self._chance)
        answer = self._refused(request) or self._limited() or self._proper(request, path)
        if self.date:
            answer.headers["Date"] = self.date
        if fault is not None:
            answer = spoiled(fault, answer)
        self.statuses[0 if answer.raw is not None else answer.status] += 1
        return answer

    # --- what every request must have -------------------------------------------------------------------

    def _refused(self, request: ReceivedRequest) -> Answer | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        self.tokens.add(token)
        claims = claims_of(token) if scheme == "Bearer" else None
        if claims is None or claims["aud"] != AUDIENCE or token in self.revoked:
            answer = refusal(401, "InvalidAuthenticationToken")
            answer.headers["WWW-Authenticate"] = f'Bearer authorization_uri="{AUDIENCE}", error="invalid_token"'
            return answer
        if not _VERSION.fullmatch(request.query.get("api-version", [""])[-1]):
            return refusal(400, "MissingApiVersionParameter")
        if "%25" in request.target or ".." in request.target:
            return refusal(400, "InvalidRequestUri")
        return None

    def _limited(self) -> Answer | None:
        wait = self.bucket.wait_s() if self.bucket else 0.0
        if not wait:
            return None
        answer = refusal(429, "SubscriptionRequestsThrottled")
        answer.headers["Retry-After"] = str(max(1, round(wait)))
        return answer

    # --- what is answered -------------------------------------------------------------------------------

    def _proper(self, request: ReceivedRequest, path: str) -> Answer:
        if path == GRAPH:
            return self._graph(request)
        if request.method != "GET":
            return refusal(405, "MethodNotAllowed")
        subscription = path.split("/")[2] if path.startswith("/subscriptions/") else ""
        if subscription not in self.world.subscriptions:
            return refusal(404, "SubscriptionNotFound")
        if any(part in path for part in self.world.forbidden):
            return refusal(403, "AuthorizationFailed")
        answer = self._found(request, path, subscription)
        if self.bucket is not None:
            answer.headers["x-ms-ratelimit-remaining-subscription-reads"] = str(self.bucket.left)
        return answer

    def _found(self, request: ReceivedRequest, path: str, subscription: str) -> Answer:
        if path == f"/subscriptions/{subscription}":
            return json_answer({"id": path, "subscriptionId": subscription, "state": "Enabled"})
        if (listed := _LIST.fullmatch(path)) is not None:
            return json_answer({"value": self.world.of(subscription, listed["type"])})
        typed = _TYPED.fullmatch(path)
        if typed is None:
            return refusal(404, "InvalidResourceType")
        if typed["id"] not in self.world.resources:
            return refusal(404, "ResourceNotFound")
        if typed["below"]:
            return self._paged(request, self.world.below(typed["id"], typed["below"]))
        return json_answer(self.world.resources[typed["id"]])

    def _paged(self, request: ReceivedRequest, items: list[Any]) -> Answer:
        start = int(request.query.get("$skiptoken", ["0"])[-1])
        page: dict[str, Any] = {"value": items[start : start + self.page_size]}
        if start + self.page_size < len(items):
            version = request.query["api-version"][-1]
            rest = f"api-version={version}&$skiptoken={start + self.page_size}"
            page["nextLink"] = f"{self.url}{request.target.partition('?')[0]}?{rest}"
        if self.next_link is not None:
            page["nextLink"] = self.next_link
        return json_answer(page)

    def _graph(self, request: ReceivedRequest) -> Answer:
        if request.method != "POST":
            return refusal(405, "MethodNotAllowed")
        if self.graph_quota == 0:
            answer = refusal(429, "RateLimiting")
            answer.headers["x-ms-user-quota-resets-after"] = "00:00:05"
            return answer
        if self.graph_quota is not None:
            self.graph_quota -= 1
        asked = json.loads(request.body)
        self.queries.append(asked)
        if self.graph_answer is not None:
            return json_answer(self.graph_answer)
        problem = _graph_problem(asked)
        return refusal(400, "BadRequest", problem) if problem else self._rows(asked)

    def _rows(self, asked: dict[str, Any]) -> Answer:
        types = re.findall(r"'(microsoft\.[a-z]+/[a-z]+)'", asked["query"].lower())
        rows = self.world.rows(asked["subscriptions"], types)
        options = asked["options"]
        start = int(base64.b64decode(options["$skipToken"])) if options.get("$skipToken") else 0
        end = start + options["$top"]
        page: dict[str, Any] = {
            "totalRecords": len(rows),
            "count": len(rows[start:end]),
            "data": rows[start:end],
            "resultTruncated": "false",
        }
        if end < len(rows):
            page["$skipToken"] = base64.b64encode(str(end).encode()).decode()
        answer = json_answer(page)
        left = 14 if self.graph_quota is None else self.graph_quota
        answer.headers |= {"x-ms-user-quota-remaining": str(left), "x-ms-user-quota-resets-after": "00:00:05"}
        answer.headers |= self.graph_headers
        return answer

    # --- other processes --------------------------------------------------------------------------------

    def _controlled(self, request: ReceivedRequest) -> Answer:
        what = request.path.removeprefix(CONTROL)
        if what == "state":
            return json_answer({"calls": self.calls, "statuses": self.statuses, "queries": len(self.queries)})
        if what == "faults" and request.method == "PUT":
            self.faults = [Fault(**fault) for fault in json.loads(request.body)]
        elif what.startswith("world/") and request.method == "PUT":
            self.world.put(json.loads(request.body))
        elif what.startswith("world/") and request.method == "DELETE":
            self.world.delete(what.removeprefix("world"))
        else:
            return Answer(404)
        return json_answer({})


def _graph_problem(asked: dict[str, Any]) -> str:
    """What is wrong with a query, by the documented limits."""
    options = asked.get("options", {})
    if not 0 < len(asked.get("subscriptions", [])) <= 300:
        return "give 1 to 300 subscriptions"
    if not 0 < options.get("$top", 0) <= 1000 or options.get("resultFormat") != "objectArray":
        return "give $top up to 1000 and resultFormat objectArray"
    if "order by id" not in asked.get("query", ""):
        return "paging is stable only when the rows are ordered by id"
    return ""


@cache
def _authority() -> Any:
    import trustme  # noqa: PLC0415  # only who serves

    return trustme.CA()


def _certified(ca_file: Path) -> ssl.SSLContext:
    authority = _authority()
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
    return tls


@contextmanager
def arm_in_a_thread(
    world: World | None = None, *, port: int = 0, ca_file: Path | None = None
) -> Iterator[ArmSimulator]:
    """One that runs in a thread of its own while the block lasts, for tests whose loop is busy or has none."""
    simulator = ArmSimulator(world, port=port, ca_file=ca_file)
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with simulator:
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="arm-simulator")
    thread.start()
    try:
        assert started.wait(15), "the simulator does not start"
        yield simulator
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(15)
        loop.close()


async def _serve(port: int, ca_file: Path, identity_port: int) -> None:
    async with ArmSimulator(port=port, ca_file=ca_file) as simulator, ManagedIdentity(port=identity_port):
        print(simulator.url, flush=True)  # noqa: T201  # whoever started it waits for this line
        await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument("--identity-port", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.ca_file, given.identity_port))


if __name__ == "__main__":
    main()
