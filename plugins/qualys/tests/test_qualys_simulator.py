"""The simulator keeps the rules of the service it stands for, over real HTTPS."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from qualys_account import Simulate
from scanguard_qualys.simulator import QualysSimulator, Scenario
from scanguard_qualys.simulator.simulation import Simulation

from scanguard import http

SHA = "ab" * 32
BASIC = {"Authorization": "Basic " + base64.b64encode(b"sim-user:sim-password").decode()}
SCAN = {"imageId": f"sha256:{SHA}", "registry": "r", "repository": "p", "tag": "t"}


async def ask(simulator: QualysSimulator, method: str, path: str, **more: Any) -> http.Response:
    async with http.HttpFactory(ca_file=simulator.ca_file).client(attempts=1, timeout_s=2) as client:
        return await client.request(method, simulator.url + path, **more)


async def token_of(simulator: QualysSimulator) -> dict[str, str]:
    answer = await ask(simulator, "POST", "/auth", data={"username": "sim-user", "password": "sim-password"})
    assert answer.status_code == 201
    return {"Authorization": f"Bearer {answer.text.strip()}"}


async def test_a_login_gives_a_raw_token_and_wrong_credentials_none(simulate: Simulate) -> None:
    simulator = await simulate()
    assert (await token_of(simulator))["Authorization"].count(".") == 2
    assert (await ask(simulator, "POST", "/auth", data={"username": "x", "password": "y"})).status_code == 401
    assert (await ask(simulator, "GET", f"/csapi/v1.3/images/{SHA}")).status_code == 401
    assert simulator.recorded.refused["unauthorized"] == 2


async def test_a_token_expires(simulate: Simulate) -> None:
    simulator = await simulate(token_life_s=60, speed=1000)
    token = await token_of(simulator)
    await asyncio.sleep(0.1)
    assert (await ask(simulator, "GET", f"/csapi/v1.3/images/{SHA}", headers=token)).status_code == 401


async def test_an_image_is_not_found_until_it_is_ingested(simulate: Simulate) -> None:
    simulator = await simulate(latency_s=30, speed=100)
    token = await token_of(simulator)
    assert (await ask(simulator, "GET", f"/csapi/v1.3/images/{SHA}", headers=token)).status_code == 404
    await asyncio.sleep(0.4)
    found = (await ask(simulator, "GET", f"/csapi/v1.3/images/{SHA}", headers=token)).json()
    assert found["sha"] == SHA
    assert found["updated"] == "1738827505526", "milliseconds, as text"


async def test_exempted_findings_are_hidden_unless_asked_for_and_pages_add_up(simulate: Simulate) -> None:
    simulator = await simulate(findings=30)
    token = await token_of(simulator)
    path = f"/csapi/v1.3/images/{SHA}/vuln"
    whole = (await ask(simulator, "GET", path + "?applyException=false&pageSize=1000", headers=token)).json()
    hidden = (await ask(simulator, "GET", path + "?pageSize=1000", headers=token)).json()
    assert len(whole["details"]) == 30
    assert len(hidden["details"]) == 30 - sum(one["isExempted"] for one in whole["details"]) < 30
    pages: list[Any] = []
    for number in (1, 2, 3, 4):
        query = f"?applyException=false&pageSize=10&pageNumber={number}"
        pages += (await ask(simulator, "GET", path + query, headers=token)).json()["details"]
    assert pages == whole["details"]


async def test_the_on_demand_contract_goes_from_pending_to_results(simulate: Simulate) -> None:
    simulator = await simulate(latency_s=40, speed=10)  # pending for 0.4 s, and 4 s in all
    path = "/csapi/v1.3/images/scan"
    assert (await ask(simulator, "POST", path, json=SCAN)).status_code == 401
    submitted = (await ask(simulator, "POST", path, json=SCAN, headers=BASIC)).json()
    one = f"{path}/{submitted['scanId']}"
    seen = [(await ask(simulator, "GET", one + "/status", headers=BASIC)).json()["status"]]
    assert (await ask(simulator, "GET", one + "/results", headers=BASIC)).status_code == 409
    begun = time.monotonic()
    while seen[-1] != "COMPLETED" and time.monotonic() - begun < 20:
        await asyncio.sleep(0.1)
        seen.append((await ask(simulator, "GET", one + "/status", headers=BASIC)).json()["status"])
    assert list(dict.fromkeys(seen)) == ["PENDING", "RUNNING", "COMPLETED"]
    results = (await ask(simulator, "GET", one + "/results", headers=BASIC)).json()
    assert set(results) >= {"vulnerabilities", "compliance", "metadata"}
    assert results["metadata"]["imageId"] == SCAN["imageId"]


async def test_a_double_submit_with_one_key_is_one_scan(simulate: Simulate) -> None:
    simulator = await simulate()
    headers = {**BASIC, "Idempotency-Key": "k"}
    first, second = [
        (await ask(simulator, "POST", "/csapi/v1.3/images/scan", json=SCAN, headers=headers)).json() for _ in range(2)
    ]
    assert first["scanId"] == second["scanId"]
    assert simulator.recorded.submissions == {SCAN["imageId"]: 1}


@pytest.mark.parametrize(
    ("style", "status", "header"),
    [
        pytest.param("gateway", 429, "Retry-After", id="gateway"),
        pytest.param("classic", 409, "X-RateLimit-ToWait-Sec", id="classic"),
    ],
)
async def test_a_limit_refuses_with_its_headers_and_counts_in_windows_that_start_anywhere(
    style: str, status: int, header: str, simulate: Simulate
) -> None:
    simulator = await simulate(limits=({"rate": "3/m", "style": style},), speed=100)
    token = await token_of(simulator)
    answers = [await ask(simulator, "GET", f"/csapi/v1.3/images/{SHA}", headers=token) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, status]
    assert answers[3].headers["X-RateLimit-Limit"] == "3"
    assert answers[3].headers["X-RateLimit-Remaining"] == "0"
    assert int(answers[3].headers[header]) >= 1
    assert simulator.recorded.worst_window(60) == 4
    await asyncio.sleep(0.65)
    assert (await ask(simulator, "GET", f"/csapi/v1.3/images/{SHA}", headers=token)).status_code == 200


def test_the_fullest_window_is_found_wherever_it_starts() -> None:
    now = [0.0]
    simulation = Simulation(Scenario(), clock=lambda: now[0])
    for at in (0, 50, 61, 62, 63, 119, 200):
        now[0] = float(at)
        simulation.note("GET", "/x", 200)
    assert simulation.recorded.worst_window(60) == 4
    assert simulation.recorded.worst_window(1) == 1
    assert simulation.recorded.worst_window(1000) == 7


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("status", 503, id="status"),
        pytest.param("html", "<html>", id="html"),
        pytest.param("malformed", ",,}", id="malformed"),
        pytest.param("error_body", "errorCode", id="error-body"),
        pytest.param("truncated", http.HTTPError, id="truncated"),
        pytest.param("reset", http.HTTPError, id="reset"),
        pytest.param("hang", http.HTTPError, id="hang"),
    ],
)
async def test_each_fault_strikes_as_often_as_it_says(kind: str, expected: Any, simulate: Simulate) -> None:
    simulator = await simulate(faults=({"kind": kind, "path": "*/images/*", "after": 1, "times": 1},))
    token = await token_of(simulator)
    path = f"/csapi/v1.3/images/{SHA}"
    assert (await ask(simulator, "GET", path, headers=token)).status_code == 200
    if isinstance(expected, type):
        with pytest.raises(expected):
            await ask(simulator, "GET", path, headers=token)
    else:
        answer = await ask(simulator, "GET", path, headers=token)
        assert answer.status_code == expected if isinstance(expected, int) else expected in answer.text
    assert (await ask(simulator, "GET", path, headers=token)).status_code == 200


async def test_a_lost_answer_did_what_was_asked(simulate: Simulate) -> None:
    simulator = await simulate(faults=({"kind": "lost", "method": "POST", "path": "*/scan"},))
    with pytest.raises(http.HTTPError):
        await ask(simulator, "POST", "/csapi/v1.3/images/scan", json=SCAN, headers=BASIC)
    assert simulator.recorded.submissions == {SCAN["imageId"]: 1}


async def test_what_it_was_asked_can_be_asked(simulate: Simulate) -> None:
    simulator = await simulate()
    await ask(simulator, "POST", "/csapi/v1.3/images/scan", json=SCAN, headers=BASIC)
    state = (await ask(simulator, "GET", "/__simulator__/state")).json()
    assert state["by_path"] == {"POST /csapi/v1.3/images/scan": 1}
    assert state["worst_hour"] == 1
    assert state["scans"] == {"pending": 0, "ended": 1}


async def test_it_runs_as_a_program(tmp_path: Path) -> None:
    script = tmp_path / "scenario.yaml"
    script.write_text("latency_s: 0\nfindings: 2\n", encoding="utf-8")
    ca_file = tmp_path / "ca.pem"
    argv = [sys.executable, "-m", "scanguard_qualys.simulator", "--port", "0", "--script", str(script)]
    child = await asyncio.create_subprocess_exec(*argv, "--ca-file", str(ca_file), stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        url = (await asyncio.wait_for(child.stdout.readline(), 20)).decode().split()[1]
        async with http.HttpFactory(ca_file=ca_file).client() as client:
            answer = await client.post(url + "/csapi/v1.3/images/scan", json=SCAN, headers=BASIC)
        assert answer.status_code == 202
    finally:
        child.terminate()
        await child.wait()


def test_a_script_that_is_wrong_is_told(tmp_path: Path) -> None:
    script = tmp_path / "scenario.yaml"
    script.write_text(json.dumps({"latencys": 1}), encoding="utf-8")
    argv = [sys.executable, "-m", "scanguard_qualys.simulator", "--script", str(script)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # our own program
    assert done.returncode == 1
    assert "latencys" in done.stderr
