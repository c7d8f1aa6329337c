"""The on-demand contract: submit, status, results. Qualys' public reference does not list these calls."""

from __future__ import annotations

import json
import re
from typing import Any

from scanguard.testing.server import Answer, ReceivedRequest
from scanguard_qualys.simulator.answers import error, json_answer
from scanguard_qualys.simulator.images import bare
from scanguard_qualys.simulator.simulation import Scan, Simulation

_ONE = re.compile(r"/csapi/v1\.3/images/scan/([\w-]+)/(status|results)")
_WANTED = ("imageId", "registry", "repository", "tag")


def answer(simulation: Simulation, request: ReceivedRequest) -> Answer | None:
    """The answer to an on-demand call, or None when it is another one."""
    if request.path == "/csapi/v1.3/images/scan":
        return _submit(simulation, request) if request.method == "POST" else error(405, "Method Not Allowed")
    found = _ONE.fullmatch(request.path)
    if found is None:
        return None
    scan = simulation.scans.get(found[1])
    if scan is None:
        return error(404, "No such scan")
    status = simulation.status(scan)
    if found[2] == "status":
        return json_answer({"scanId": scan.id, "status": status})
    if status != "COMPLETED":
        return error(409, f"The scan is {status}")
    return json_answer(results(simulation, scan))


def _submit(simulation: Simulation, request: ReceivedRequest) -> Answer:
    try:
        asked = json.loads(request.body)
    except ValueError:
        return error(400, "The body is no JSON")
    if not isinstance(asked, dict) or any(not isinstance(asked.get(name), str) for name in _WANTED):
        return error(400, f"Wanted: {', '.join(_WANTED)}")
    key = request.headers.get("idempotency-key", "")
    if key:
        for scan in simulation.scans.values():
            if scan.asked.get("idempotency-key") == key:
                return json_answer({"scanId": scan.id, "status": simulation.status(scan)}, 200)
    scan_ = simulation.submit(asked["imageId"], {**asked, "idempotency-key": key})
    return error(404, "No such image") if scan_ is None else json_answer({"scanId": scan_.id, "status": "PENDING"}, 202)


def results(simulation: Simulation, scan: Scan) -> dict[str, Any]:
    """Vulnerabilities, compliance, metadata."""
    metadata: dict[str, Any] = {
        "scanId": scan.id,
        "registry": scan.asked["registry"],
        "repository": scan.asked["repository"],
        "tag": scan.asked["tag"],
        "operatingSystem": scan.content.operating_system,
        "scanStatus": "SUCCESS",
    }
    if simulation.scenario.names_digest:
        metadata["imageId"] = scan.image
        if scan.content.digest or scan.content.config:
            metadata["sha"] = scan.content.config or bare(scan.image)
            metadata["digest"] = f"sha256:{scan.content.digest}" if scan.content.digest else scan.image
    return {
        "scanId": scan.id,
        "status": "COMPLETED",
        "vulnerabilities": scan.content.vulnerabilities,
        "compliance": scan.content.compliance,
        "metadata": metadata,
    }
