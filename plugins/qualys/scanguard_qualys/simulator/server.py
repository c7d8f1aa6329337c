"""The simulator on the wire: HTTPS on loopback, with a certificate of its own."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest
from scanguard_qualys.simulator import ondemand, platform
from scanguard_qualys.simulator.answers import broken, error, json_answer, throttled
from scanguard_qualys.simulator.recorded import Recorded
from scanguard_qualys.simulator.scenario import FaultKind, Scenario
from scanguard_qualys.simulator.simulation import Simulation

STATE = "/__simulator__/state"


class QualysSimulator:
    """Serves a scenario; use it with ``async with``.

    Attributes:
        simulation: The account's state, to look at and to change.
        ca_file: The certificate to trust.
    """

    def __init__(self, scenario: Scenario | None = None, *, port: int = 0, ca_file: Path | None = None) -> None:
        self.simulation = Simulation(scenario or Scenario())
        self.ca_file = ca_file or Path()
        self._port = port
        self._stack = AsyncExitStack()
        self._server: LoopbackServer | None = None

    async def __aenter__(self) -> Self:
        """Make a certificate and listen."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.ca_file = self.ca_file if self.ca_file.name else folder / "ca.pem"
        server = LoopbackServer(self._handle, tls=_certified(self.ca_file), port=self._port)
        self._server = await self._stack.enter_async_context(server)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop."""
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """``https://127.0.0.1:port``."""
        if self._server is None:
            raise RuntimeError("use it in `async with`")
        return self._server.url

    @property
    def recorded(self) -> Recorded:
        """What it was asked."""
        return self.simulation.recorded

    async def _handle(self, request: ReceivedRequest) -> Answer:
        if self._server is not None:
            self._server.requests.clear()  # what matters is recorded, and this list has no end
        if request.path == STATE:
            return json_answer(self._state())
        simulation = self.simulation
        fault = simulation.fault(request.method, request.path)
        if fault is not None and fault.kind not in (FaultKind.LOST, FaultKind.SLOW, FaultKind.TRUNCATED):
            answer = broken(fault, json_answer({"status": "PENDING"}), 0)
        else:
            answer = self._proper(request)
            if fault is not None:
                answer = broken(fault, answer, simulation.real(fault.delay_s))
        if request.path != "/auth":
            simulation.note(request.method, request.path, 0 if answer.raw is not None else answer.status)
        return answer

    def _proper(self, request: ReceivedRequest) -> Answer:
        simulation = self.simulation
        if request.path == "/auth":
            return self._auth(request)
        if (refusal := simulation.refusal(request.path)) is not None:
            return throttled(refusal, simulation.real(refusal.wait_s))
        is_ondemand = request.path.startswith("/csapi/v1.3/images/scan")
        if not (self._has_basic(request) if is_ondemand else self._has_token(request)):
            simulation.recorded.refused["unauthorized"] += 1
            return error(401, "Unauthorized")
        made = ondemand.answer(simulation, request) if is_ondemand else platform.answer(simulation, request)
        answer = made or error(404, "No such path")
        if (left := simulation.left(request.path)) is not None:
            limit, remaining = left
            answer.headers.setdefault("X-RateLimit-Limit", str(limit.rate.requests))
            answer.headers.setdefault("X-RateLimit-Window-Sec", f"{limit.rate.window_s:g}")
            answer.headers.setdefault("X-RateLimit-Remaining", str(max(remaining, 0)))
        return answer

    def _auth(self, request: ReceivedRequest) -> Answer:
        if request.method != "POST":
            return error(405, "Method Not Allowed")
        form = request.form
        token = self.simulation.log_in(form.get("username", ""), form.get("password", ""))
        if token is None:
            return error(401, "Login failed")
        return Answer(201, f"{token}\n".encode(), {"Content-Type": "text/plain"})

    def _has_token(self, request: ReceivedRequest) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and self.simulation.is_valid(token)

    def _has_basic(self, request: ReceivedRequest) -> bool:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        scenario = self.simulation.scenario
        return scheme == "Basic" and (username, password) == (scenario.username, scenario.password)

    def _state(self) -> dict[str, object]:
        scans = self.simulation.scans.values()
        ended = sum(self.simulation.status(scan) in ("COMPLETED", "FAILED") for scan in scans)
        return {**self.recorded.summary(), "scans": {"pending": len(scans) - ended, "ended": ended}}


def _certified(ca_file: Path) -> ssl.SSLContext:
    import trustme  # noqa: PLC0415  # the extra `simulator`, and only who serves

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
    return tls
