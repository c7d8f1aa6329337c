"""The public Container Security API: images, vulnerabilities, compliance, registry jobs."""

from __future__ import annotations

import json
import re
from typing import Any

from scanguard.testing.server import Answer, ReceivedRequest
from scanguard_qualys.simulator.answers import error, json_answer
from scanguard_qualys.simulator.images import Content, bare
from scanguard_qualys.simulator.simulation import Simulation

BASE = "/csapi/v1.3"
_IMAGE = re.compile(BASE + r"/images/([0-9a-f]{12,128})(/vuln|/vuln/count|/compliance|/software)?")
_SCHEDULE = re.compile(BASE + r"/registry/([\w-]+)/schedule")
_TERM = re.compile(
    r"(?:sha|repoDigests\.digest|repoDigests)\s*:\s*['\"`]?(?:sha256:)?([0-9a-f]{12,128})", re.IGNORECASE
)
_MAX_PAGE = 1000
_NOW_MS = "1738827505526"


def answer(simulation: Simulation, request: ReceivedRequest) -> Answer | None:
    """The answer to a call of the public API, or None when it is none."""
    if (found := _IMAGE.fullmatch(request.path)) is not None:
        return _one(simulation, request, found[1], found[2] or "")
    if request.path == f"{BASE}/images":
        return _list(simulation, request)
    if (found := _SCHEDULE.fullmatch(request.path)) is not None:
        return _schedule(simulation, request, found[1])
    return None


def _one(simulation: Simulation, request: ReceivedRequest, sha: str, what: str) -> Answer:
    content = simulation.ingested(sha)
    if content is None:
        return error(404, "Image not found")
    if what == "/vuln":
        return _vulnerabilities(request, content, in_pages=simulation.scenario.pages)
    if what == "/vuln/count":
        counts = {f"severity{level}Count": _severities(content).count(level) for level in range(1, 6)}
        return json_answer(counts)
    if what == "/compliance":
        return json_answer({"data": content.compliance, "count": len(content.compliance)})
    if what == "/software":
        software = [one for vulnerability in content.vulnerabilities for one in vulnerability["software"]]
        return json_answer({"data": software, "count": len(software)})
    return json_answer(image_record(simulation, sha, content))


def _vulnerabilities(request: ReceivedRequest, content: Content, *, in_pages: bool) -> Answer:
    """Exempted findings are hidden unless asked for; pages as for images, which the documentation does not say."""
    hidden = request.query.get("applyException", ["true"])[-1] != "false"
    shown = [one for one in content.vulnerabilities if not (hidden and one["isExempted"])]
    if not in_pages:
        return json_answer({"details": shown})
    page = _page(request, shown)
    return error(400, "Bad page") if page is None else json_answer({"details": page, "count": len(shown)})


def _list(simulation: Simulation, request: ReceivedRequest) -> Answer:
    wanted = [bare(found) for found in _TERM.findall(request.query.get("filter", [""])[-1])]
    records = [
        {**image_record(simulation, sha, content), "vulnerabilities": {"severity5Count": 0}}
        for sha in dict.fromkeys(wanted)
        if (content := simulation.ingested(sha)) is not None
    ]
    page = _page(request, records)
    return error(400, "Bad page") if page is None else json_answer({"data": page, "count": len(records)})


def _page(request: ReceivedRequest, items: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    try:
        number = int(request.query.get("pageNumber", ["1"])[-1])
        size = int(request.query.get("pageSize", ["50"])[-1])
    except ValueError:
        return None
    if number < 1 or not 1 <= size <= _MAX_PAGE:
        return None
    return items[(number - 1) * size : number * size]


def _schedule(simulation: Simulation, request: ReceivedRequest, registry: str) -> Answer:
    if registry not in simulation.scenario.registries:
        return error(404, "Registry not found")
    jobs = simulation.jobs.setdefault(registry, [])
    if request.method == "GET":
        return json_answer({"data": list(reversed(jobs)), "count": len(jobs)})
    try:
        asked = json.loads(request.body)
        tags = [item for one in asked["filters"] for item in one["repoTags"]]
        names = [f"{item['repo']}:{item['tag']}" for item in tags]
    except (ValueError, TypeError, KeyError):
        return error(400, "Wanted: filters[].repoTags[] of repo and tag")
    for name in names:
        simulation.recorded.submissions[name] += 1
    job = {
        "scheduleUuid": f"00000000-0000-0000-0000-{len(jobs) + 1:012}",
        "name": asked.get("name"),
        "status": "Running",
        "onDemand": True,
        "created": _NOW_MS,
        "filters": asked["filters"],
        "errors": None,
    }
    jobs.append(job)
    return json_answer({"scheduleUuid": job["scheduleUuid"]})


def image_record(simulation: Simulation, sha: str, content: Content) -> dict[str, Any]:
    """An image as ``GET /images/{sha}`` gives it."""
    failed = content.outcome == "failed"
    digests = [{"registry": "sim.example", "repository": "sim/image", "digest": content.digest or bare(sha)}]
    record: dict[str, Any] = {
        "created": _NOW_MS,
        "updated": _NOW_MS,
        "lastUsedDate": _NOW_MS,
        "author": "",
        "repo": [{"registry": "sim.example", "repository": "sim/image", "tag": "1"}],
        "repoDigests": digests if content.digest else None,
        "uuid": "00000000-0000-0000-0000-000000000000",
        "sha": content.config or bare(sha),
        "imageId": (content.config or bare(sha))[:12],
        "operatingSystem": content.operating_system or None,
        "size": 187_667_860,
        "label": None,
        "vulnerabilities": None,
        "lastVmScanDate": _NOW_MS,
        "registryUuid": None,
        "source": ["GENERAL"],
        "scanType": None,
        "scanTypes": ["DYNAMIC"],
        "scanStatus": "FAILED" if failed else "SUCCESS",
        "scanErrorCode": "OS_NOT_SUPPORTED" if failed else None,
        "isDockerHubOfficial": False,
    }
    return record


def _severities(content: Content) -> list[int]:
    return [one["severity"] for one in content.vulnerabilities]
