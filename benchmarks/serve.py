"""Events acknowledged per second by the real service: ``python benchmarks/serve.py [--quick | --full]``.

Beside it, in the same run and from the same client, the least that could acknowledge an event durably: the same
uvicorn and starlette with an endpoint that reads the body and does nothing but the one ``queue.send``. Each server
is a process of its own; rounds alternate, so that what else this machine does hits both. Then the memory of the
real service before and after many events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEY = "benchmark-key-0123456789"
GOAL = 0.8
CONFIG = """\
version: 1
chains: {default: {}}
server: {port: 0, keys: ["env:BENCHMARK_KEY"], rate_per_s: 1000000, client_rate_per_s: 1000000}
"""


@dataclass(frozen=True)
class Size:
    rounds: int
    events: int
    memory_events: int


QUICK = Size(rounds=5, events=1_000, memory_events=5_000)
FULL = Size(rounds=11, events=3_000, memory_events=100_000)


def event(number: int) -> dict[str, object]:
    """As Azure sends it, with the claims and the rest that is dropped."""
    subscription = "/subscriptions/11111111-1111-1111-1111-111111111111"
    resource = f"{subscription}/resourcegroups/rg/providers/Microsoft.ContainerInstance/containerGroups/api{number}"
    guid = "00000000-0000-0000-0000-000000000000"
    return {
        "id": f"event-{number}",
        "topic": subscription,
        "subject": resource,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-03-01T18:38:04.6117357Z",
        "data": {
            "authorization": {
                "scope": resource,
                "action": "Microsoft.ContainerInstance/containerGroups/write",
                "evidence": {"role": "Contributor", "roleAssignmentScope": subscription, "principalId": guid},
            },
            "claims": {
                "aud": "https://management.core.windows.net/",
                "iss": f"https://sts.windows.net/{guid}/",
                "appid": guid,
                "ipaddr": "203.0.113.7",
                "name": "Ana Dev",
                "http://schemas.microsoft.com/identity/claims/objectidentifier": guid,
            },
            "correlationId": guid,
            "httpRequest": {"clientRequestId": guid, "clientIpAddress": "203.0.113.7", "method": "PUT"},
            "resourceProvider": "Microsoft.ContainerInstance",
            "resourceUri": resource,
            "operationName": "Microsoft.ContainerInstance/containerGroups/write",
            "status": "Succeeded",
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "tenantId": guid,
        },
        "dataVersion": "2",
        "metadataVersion": "1",
    }


# --- the servers, each in a process of its own ------------------------------------------------------------


async def serve_real(folder: Path) -> None:
    from scanguard.app import App, AppOptions  # noqa: PLC0415  # only in its own process
    from scanguard.server.run import serve  # noqa: PLC0415  # as above

    config = folder / "scanguard.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    app = App.load(AppOptions(config=(config,), data_dir=folder / "data"))
    await serve(app, app.settings.server, work=False, announce=lambda url: print(url, flush=True))


async def serve_bare(folder: Path) -> None:
    import uvicorn  # noqa: PLC0415  # only in its own process
    from starlette.applications import Starlette  # noqa: PLC0415  # as above
    from starlette.requests import Request  # noqa: PLC0415  # as above
    from starlette.responses import JSONResponse  # noqa: PLC0415  # as above
    from starlette.routing import Route  # noqa: PLC0415  # as above

    from scanguard.backends import embedded  # noqa: PLC0415  # as above
    from scanguard.builtin.events import parse_eventgrid  # noqa: PLC0415  # as above
    from scanguard.ports import Message, MessageKind, Outgoing  # noqa: PLC0415  # as above
    from scanguard.server.listener import open_socket  # noqa: PLC0415  # as above

    parsed = parse_eventgrid(event(0))  # type: ignore[arg-type]  # JSON
    assert parsed is not None
    body = {"event": parsed.model_dump(mode="json"), "force": False}
    message = Outgoing(Message(kind=MessageKind.INTAKE, id="0" * 32, body=body))
    async with embedded(folder / "data") as backend:

        async def acknowledge(request: Request) -> JSONResponse:
            await request.body()
            await backend.queue.send([message])
            return JSONResponse({"accepted": [message.message.id]})

        asgi = Starlette(routes=[Route("/events", acknowledge, methods=["POST"])])
        options = {"lifespan": "off", "log_config": None, "access_log": False, "ws": "none", "http": "h11"}
        server = uvicorn.Server(uvicorn.Config(asgi, **options))  # type: ignore[arg-type]  # uvicorn's own names
        opened = open_socket("127.0.0.1", 0)
        print(f"http://127.0.0.1:{opened.getsockname()[1]}", flush=True)
        await server.serve([opened])


@dataclass(frozen=True)
class Server:
    pid: int
    port: int

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def started(kind: str, folder: Path) -> Iterator[Server]:
    command = [sys.executable, __file__, "--serve", kind, str(folder)]
    folder.mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "BENCHMARK_KEY": KEY}) as child:  # noqa: S603  # this file
        assert child.stdout is not None
        try:
            yield Server(child.pid, int(child.stdout.readline().rpartition(b":")[2]))
        finally:
            child.terminate()


# --- the client -------------------------------------------------------------------------------------------


def request(number: int) -> bytes:
    body = json.dumps([event(number)]).encode()
    head = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\n"
    head += f"aeg-event-type: Notification\r\naeg-sas-key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def send(port: int, requests: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for one in requests:
        writer.write(one)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


async def load(port: int, requests: list[bytes], connections: int = 16) -> float:
    """Seconds until all are acknowledged."""
    shared = iter(requests)
    started_at = time.perf_counter()
    await asyncio.gather(*(send(port, shared) for _ in range(connections)))
    return time.perf_counter() - started_at


async def compare(real: Server, bare: Server, size: Size, connections: int) -> None:
    requests = [request(number) for number in range(size.events)]
    rates: dict[str, list[float]] = {"real": [], "bare": []}
    cpu = {"real": 0.0, "bare": 0.0}
    for round_ in range(size.rounds + 1):
        order = [("real", real), ("bare", bare)]
        for name, server in order if round_ % 2 else reversed(order):
            before = server.cpu_s()
            seconds = await load(server.port, requests, connections)
            if round_:  # the first one warms up
                rates[name].append(size.events / seconds)
                cpu[name] += server.cpu_s() - before
    sent = size.events * size.rounds
    for name, label in (("bare", "nothing but queue.send"), ("real", "scanguard serve")):
        rate, spread = statistics.median(rates[name]), (min(rates[name]), max(rates[name]))
        print(
            f"{label:24} {rate:8.0f} events/s (rounds {spread[0]:.0f} to {spread[1]:.0f}), "
            f"{cpu[name] / sent * 1e3:.3f} ms CPU each"
        )
    ratio = statistics.median(a / b for a, b in zip(rates["real"], rates["bare"], strict=True))
    print(f"{'ratio, median of rounds':24} {ratio:8.2f} (goal {GOAL})")


async def grow(real: Server, events: int) -> None:
    before = real.rss_mib()
    for start in range(0, events, 1_000):
        await load(real.port, [request(number) for number in range(start, min(start + 1_000, events))])
    after = real.rss_mib()
    print(f"{'memory':24} {before:8.1f} MiB before, {after:.1f} MiB after {events:,} more events")


async def main(size: Size, connections: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with started("real", folder / "real") as real, started("bare", folder / "bare") as bare:
            await compare(real, bare, size, connections)
            await grow(real, size.memory_events)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds, and 100,000 events for the memory")
    parser.add_argument("--quick", action="store_true", help="the default: 5,000 events for the memory")
    parser.add_argument("--connections", type=int, default=16, help="connections that send at once (16)")
    parser.add_argument("--serve", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        kind, where = given.serve
        asyncio.run((serve_real if kind == "real" else serve_bare)(Path(where)))
    else:
        asyncio.run(main(FULL if given.full else QUICK, given.connections))
