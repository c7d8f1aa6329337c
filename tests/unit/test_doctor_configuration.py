"""What the doctor makes of configurations, most of them wrong, and of the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from examining import examined, of_area, troubles

from scanguard.doctor import Check, Status
from scanguard.doctor.environment_checks import judge_certificate_files, judge_proxies, judge_python

GOOD = """
version: 1
instances:
  calm: {plugin: scripted}
  files: {plugin: json_files}
chains:
  default: {scanners: [calm], policies: [{plugin: threshold}], sinks: [files]}
"""


async def configuration_of(folder: Path, config: str | None, **environ: str) -> dict[str, Check]:
    examination = await examined(folder, config, areas=["configuration"], environ=environ)
    return of_area(examination, "configuration")


async def test_a_good_configuration_is_told_with_files_variables_and_chains(tmp_path: Path) -> None:
    checks = await configuration_of(tmp_path, GOOD, SCANGUARD__engine__attempts="3", SCANGUARD_LOG_FORMAT="json")
    assert {check.status for check in checks.values()} == {Status.OK}
    assert checks["files"].detail == str(tmp_path / "scanguard.yaml")
    assert checks["variables"].detail == "SCANGUARD_LOG_FORMAT, SCANGUARD__engine__attempts"
    assert checks["chain default"].detail == "scanners calm; policies threshold; sinks files; notifiers none"


async def test_without_a_file_the_built_in_defaults_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checks = await configuration_of(tmp_path, None)
    assert "built-in defaults" in checks["files"].detail


async def test_every_problem_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    config = """
version: 1
instances:
  calm: {plugin: scripted, latency: 3}
  files: {plugin: json_files, folders: x}
engine: {attempts: 0}
chains:
  default: {scanners: [calm], freshness: 24}
"""
    checks = await configuration_of(tmp_path, config)
    failed = {check.subject: check.detail for check in checks.values() if check.status is Status.FAIL}
    file = tmp_path / "scanguard.yaml"
    assert set(failed) == {f"{file}:{line}" for line in (4, 5, 6, 8)}
    assert failed[f"{file}:4"].startswith("instances.calm.latency: unknown key; did you mean")
    assert failed[f"{file}:8"] == "chains.default.freshness: say which unit, such as 90s, 30m, 24h or 7d"
    assert checks["chains"].status is Status.SKIPPED


async def test_the_good_parts_of_a_bad_configuration_are_still_looked_at(tmp_path: Path) -> None:
    config = """
version: 1
instances:
  calm: {plugin: scripted}
  bad: {plugin: scripted, latency: 3}
  odd: 7
chains: {default: {scanners: [nobody]}}
"""
    examination = await examined(tmp_path, config)
    assert of_area(examination, "scanners")["calm"].status is Status.OK
    assert len([one for one in troubles(examination) if one.area == "configuration"]) >= 2


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"version: [1\n", id="no yaml"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"- a list\n", id="no mapping"),
        pytest.param(b"x: y\n" * 300_000, id="too large"),
        pytest.param(b"a: !!python/object:os.system {}\n", id="hostile"),
    ],
)
async def test_a_file_that_cannot_be_read_hides_nothing_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    examination = await examined(tmp_path, environ={"SCANGUARD_CONFIG": str(path)})
    problems = [one for one in of_area(examination, "configuration").values() if one.status is Status.FAIL]
    assert len(problems) == 1
    assert "broken.yaml" in problems[0].subject + problems[0].detail
    assert of_area(examination, "data")["folder"].status is Status.OK
    assert of_area(examination, "plugins")["built-in"].status is Status.OK
    assert of_area(examination, "registries")["all"].status is Status.SKIPPED


async def test_one_unreadable_file_of_two_is_the_only_problem(tmp_path: Path) -> None:
    good, missing = tmp_path / "good.yaml", tmp_path / "missing.yaml"
    good.write_text(GOOD.replace("chains:", "chains: {}\nunused:"))
    checks = await configuration_of(tmp_path, None, SCANGUARD_CONFIG=os.pathsep.join([str(good), str(missing)]))
    failed = [check for check in checks.values() if check.status is Status.FAIL]
    assert [check.detail for check in failed] == [f"cannot read {missing}: No such file or directory"]


async def test_a_secret_written_where_a_reference_is_due_is_not_repeated(tmp_path: Path) -> None:
    config = GOOD.replace("{plugin: json_files}", "{plugin: webhook, url: 'https://x.example', secrets: [c4n4ry]}")
    examination = await examined(tmp_path, config)
    assert any("a secret is given by reference" in check.detail for check in examination.checks)
    assert "c4n4ry" not in repr(examination)


async def test_a_chain_without_a_scanner_and_an_instance_without_a_chain_warn(tmp_path: Path) -> None:
    checks = await configuration_of(tmp_path, GOOD.replace("scanners: [calm], ", ""))
    assert checks["chain default"].status is Status.WARN
    assert "nobody looks" in checks["chain default"].detail
    assert checks["instance calm"].status is Status.WARN


async def test_a_variable_that_nobody_reads_is_told_when_it_looks_like_one_that_is_read(tmp_path: Path) -> None:
    checks = await configuration_of(tmp_path, GOOD, SCANGUARD_DATADIR="/x", SCANGUARD_EVENTS_KEY="c4n4ry")
    assert checks["SCANGUARD_DATADIR"].status is Status.WARN
    assert "SCANGUARD_DATA_DIR" in checks["SCANGUARD_DATADIR"].detail
    assert "SCANGUARD_EVENTS_KEY" not in checks


# --- the environment ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "status"),
    [
        pytest.param((3, 10), Status.FAIL, id="too old"),
        pytest.param((3, 11), Status.OK, id="oldest"),
        pytest.param((3, 13), Status.OK, id="newest"),
        pytest.param((3, 14), Status.FAIL, id="too new"),
    ],
)
def test_a_python_outside_the_supported_range_fails(running: tuple[int, int], status: Status) -> None:
    assert judge_python(running, ">=3.11,<3.14").status is status


async def test_the_environment_of_these_tests_is_good(tmp_path: Path) -> None:
    checks = of_area(await examined(tmp_path, GOOD, areas=["environment"]), "environment")
    assert {check.status for check in checks.values()} == {Status.OK}
    assert checks["python"].detail.startswith(f"{sys.version_info[0]}.{sys.version_info[1]} ")


async def test_the_libraries_of_what_is_asked_for_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = f"{GOOD}server: {{port: 9000}}\n"
    metrics = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}
    monkeypatch.setattr("scanguard.doctor.environment_checks._SERVE", ("no_such_module", "json"))
    monkeypatch.setattr("scanguard.doctor.environment_checks._TELEMETRY", ("no_such_parent.child",))
    checks = of_area(await examined(tmp_path, config, areas=["environment"], environ=metrics), "environment")
    assert checks["extra serve"].status is Status.FAIL
    assert checks["extra serve"].remedy == 'pip install "scanguard[serve]"'
    assert "no_such_module" in checks["extra serve"].detail
    assert checks["extra telemetry"].status is Status.FAIL


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        pytest.param({}, Status.OK, id="none"),
        pytest.param({"HTTPS_PROXY": ""}, Status.OK, id="empty"),
        pytest.param({"https_proxy": "http://user:c4n4ry@proxy:3128"}, Status.WARN, id="lower case, with a password"),
        pytest.param({"ALL_PROXY": "socks5://c4n4ry"}, Status.WARN, id="for everything"),
    ],
)
def test_proxies_are_named_and_their_values_are_not(environ: Mapping[str, str], status: Status) -> None:
    check = judge_proxies(environ)
    assert check.status is status
    assert "c4n4ry" not in repr(check)


def test_certificates_that_are_not_there_are_told(tmp_path: Path) -> None:
    there = tmp_path / "ca.pem"
    there.touch()
    assert not list(judge_certificate_files({"SSL_CERT_FILE": str(there), "SSL_CERT_DIR": str(tmp_path)}))
    told = judge_certificate_files({"SSL_CERT_FILE": str(tmp_path / "x"), "SSL_CERT_DIR": str(tmp_path / "y")})
    assert [(check.subject, check.status) for check in told] == [
        ("SSL_CERT_FILE", Status.FAIL),
        ("SSL_CERT_DIR", Status.WARN),
    ]
