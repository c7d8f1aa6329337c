"""Plumbline, on a real socket: keeps the rules of the README, and holds against a client what it breaks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scanguard.testing.contracts import CANARY
from scanguard.testing.server import Answer, ReceivedRequest

FOUND = {
    "id": "PLUMB-2024-7",
    "aliases": ["CVE-2024-34064"],
    "purl": "pkg:pypi/jinja2@2.10",
    "name": "jinja2",
    "version": "2.10",
    "ecosystem": "PyPI",
    "rating": "critical",
    "score": 9.8,
    "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "fixed_in": ["3.1.4"],
    "title": "Sandbox escape",
}
EXAMINED = {"subject": "PyPI", "packages": 12, "complete": True, "note": ""}
WANTED = {"key", "digest", "image", "platform", "profile"}


def report_on(digest: str, **changes: object) -> dict[str, Any]:
    """A report with one finding; ``changes`` replace fields."""
    report = {
        "schema_version": 1,
        "digest": digest,
        "engine": "3.2.0",
        "database_updated_at": "2026-11-22T06:00:00Z",
        "examined": [EXAMINED],
        "vulnerabilities": [FOUND],
    }
    return {**report, **changes}


@dataclass
class _Kept:
    wanted: Mapping[str, str]
    states: list[str]
    state: str = "queued"


@dataclass
class PlumblineService:
    """One service with the images it knows.

    Attributes:
        reports: What it finds, by digest.
        states: What each question after a scan sees, in turn; ``429`` refuses that one question.
        wait_s: Seconds it asks to be left alone, with each 429 and each scan that goes on.
        token: What clients must log in with.
        submitted: What was asked for, each scan once.
        rude: Questions that came before their time, or made no sense.
    """

    reports: Mapping[str, Mapping[str, Any]]
    states: Iterable[str] = ("queued", "429", "running", "done")
    wait_s: int = 0
    token: str = CANARY
    submitted: list[Mapping[str, str]] = field(default_factory=list)
    rude: list[str] = field(default_factory=list)
    _scans: dict[str, _Kept] = field(default_factory=dict)
    _open_at: float = 0.0

    async def answer(self, request: ReceivedRequest) -> Answer:
        """Answer one request; give this to a ``LoopbackServer``."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401)
        if time.monotonic() < self._open_at:
            self.rude.append(f"{request.method} {request.path} came too early")
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["v1", "scans"]:
                return self._submit(json.loads(request.body))
            case "GET", ["v1", "scans"]:
                return self._list(request.query.get("key", [""])[0])
            case "GET", ["v1", "scans", scan] if scan in self._scans:
                return self._look(scan)
        self.rude.append(f"{request.method} {request.target} is no question")
        return Answer(404)

    def _submit(self, wanted: Mapping[str, str]) -> Answer:
        if set(wanted) != WANTED or not wanted["key"]:
            self.rude.append(f"a scan was asked for with {sorted(wanted)}")
            return Answer(400)
        if wanted["digest"] not in self.reports:
            return Answer(404)
        for scan, kept in self._scans.items():
            if kept.wanted["key"] == wanted["key"] and kept.state != "failed":
                return self._say(200, scan)
        scan = f"scan-{len(self._scans) + 1}"
        self._scans[scan] = _Kept(wanted, list(self.states))
        self.submitted.append(wanted)
        return self._say(202, scan)

    def _look(self, scan: str) -> Answer:
        kept = self._scans[scan]
        seen = kept.states.pop(0) if kept.states else kept.state
        if seen == "429":
            return Answer(429, headers=self._retry_after())
        kept.state = seen
        return self._say(200, scan)

    def _list(self, key: str) -> Answer:
        found = [{"scan": scan, "state": kept.state} for scan, kept in self._scans.items() if kept.wanted["key"] == key]
        return Answer(200, json.dumps({"scans": found}).encode())

    def _say(self, status: int, scan: str) -> Answer:
        kept = self._scans[scan]
        said: dict[str, Any] = {"scan": scan, "state": kept.state}
        if kept.state == "done":
            return Answer(status, json.dumps({**said, "report": self.reports[kept.wanted["digest"]]}).encode())
        return Answer(status, json.dumps(said).encode(), self._retry_after())

    def _retry_after(self) -> dict[str, str]:
        self._open_at = time.monotonic() + self.wait_s
        return {"Retry-After": str(self.wait_s)}
