"""The installed command, end to end: a real image in a real registry becomes a stored, explained verdict."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from oci_archive import Image
from registries import PASSWORD, USER, Registry
from workspace import ROOT

DEMO = ROOT / "examples" / "demo"
SNAPSHOT = next((DEMO / "advisories").glob("*.zip"))
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-shop"
RESOURCE = f"{GROUP}/providers/Microsoft.ContainerInstance/containerGroups/assistant"
FAIL, UNKNOWN = 10, 11

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run of the command gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


@dataclass(frozen=True, slots=True)
class Workbench:
    """A data folder with the snapshot imported, a configuration, and Docker's credentials file."""

    folder: Path

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        program = str(Path(sys.executable).with_name("scanguard"))
        config = ("--config", str(self.folder / "scanguard.yaml"))
        environ = {**os.environ, "DOCKER_CONFIG": str(self.folder / "docker")}
        return [program, "--data-dir", str(self.folder / "data"), *config, *arguments], environ

    def run(self, *arguments: str) -> Answer:
        command, environ = self.command(*arguments)
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
        return Answer(done.returncode, done.stdout, done.stderr)

    def configure(self, registry: Registry, image: str) -> None:
        """Allow one registry, with its token server; a deployment runs ``image`` of it."""
        hosts, realms = [registry.host], {}
        if registry.tokens is not None:
            realm = urlsplit(registry.tokens.realm).netloc
            hosts.append(realm)
            realms[registry.host] = realm
        config = yaml.safe_load((DEMO / "scanguard.yaml").read_text(encoding="utf-8"))
        config["registries"] = {"insecure": hosts, "realms": realms}
        deployments = yaml.safe_load((DEMO / "deployments.yaml").read_text(encoding="utf-8"))
        deployments["deployments"][0]["containers"][0]["image"] = image
        (self.folder / "scanguard.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (self.folder / "deployments.yaml").write_text(yaml.safe_dump(deployments), encoding="utf-8")

    def log_in(self, registry: Registry, password: str = PASSWORD) -> None:
        """Write what ``docker login`` writes."""
        secret = base64.b64encode(f"{USER}:{password}".encode()).decode()
        (self.folder / "docker").mkdir(exist_ok=True)
        auths = {"auths": {registry.host: {"auth": secret}}}
        (self.folder / "docker" / "config.json").write_text(json.dumps(auths), encoding="utf-8")

    def everything_written(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.folder / "data").rglob("*")) if path.is_file())


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    made = Workbench(tmp_path)
    (tmp_path / "scanguard.yaml").write_text((DEMO / "scanguard.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "deployments.yaml").write_text("deployments: []\n", encoding="utf-8")
    imported = made.run("osv", "import", str(SNAPSHOT))
    assert imported.code == 0, imported.err
    return made


def the_verdict(answer: Answer) -> dict[str, Any]:
    (verdict,) = answer.document["verdicts"]
    assert isinstance(verdict, dict)
    return verdict


def findings(answer: Answer) -> set[str]:
    """``package@version`` of every finding."""
    merged = [one["finding"] for report in answer.document["reports"].values() for one in report["findings"]]
    return {f"{finding['package']['name'].lower()}@{finding['package']['version']}" for finding in merged}


def test_the_demos_image_fails_for_what_is_known_and_says_what_is_not(bench: Workbench) -> None:
    answer = bench.run("scan", "--format", "json", f"oci-archive:{DEMO / 'image.tar'}")

    (image,) = the_verdict(answer)["images"]
    (report,) = answer.document["reports"].values()
    items = [item for coverage in report["coverage"].values() for item in coverage["items"]]
    assert answer.code == FAIL, answer.err
    assert image["counts"]["CRITICAL"] == 6, "of langchain 0.0.170"
    assert image["counts"]["HIGH"] == 3, "of fastapi, idna and urllib3"
    assert {(item["subject"], item["status"]) for item in items} == {("Debian:12", "not_covered"), ("PyPI", "partial")}


@pytest.mark.slow
def test_a_debian_image_in_an_open_registry_is_scanned(
    bench: Workbench, docker_registry: Registry, debian_image: Image
) -> None:
    docker_registry.push(debian_image, "whole/debian", "12")
    name = f"{docker_registry.host}/whole/debian:12"
    bench.configure(docker_registry, name)

    answer = bench.run("scan", "--format", "json", name)

    (image,) = the_verdict(answer)["images"]
    covered = json.dumps(answer.document["reports"])
    assert answer.code in (FAIL, UNKNOWN), answer.err
    assert image["image"]["digest"] == debian_image.digest
    assert {"jinja2@2.10", "urllib3@1.24.1", "django@2.2"} <= findings(answer)
    assert "Debian" in covered, "the snapshot has no Debian: that must be said"


@pytest.mark.parametrize(
    "kind", [pytest.param("basic_registry", id="basic"), pytest.param("token_registry", id="token")]
)
def test_a_private_image_is_scanned_with_dockers_credentials_which_show_nowhere(
    request: pytest.FixtureRequest, bench: Workbench, small_image: Image, kind: str
) -> None:
    registry: Registry = request.getfixturevalue(kind)
    registry.push(small_image, "whole/small", "1")
    name = f"{registry.host}/whole/small:1"
    bench.configure(registry, name)
    bench.log_in(registry)

    answer = bench.run("--log-level", "debug", "scan", "--format", "json", name)

    secret = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    written = bench.everything_written() + answer.out.encode() + answer.err.encode()
    assert findings(answer) == {"jinja2@2.10"}
    assert PASSWORD.encode() not in written
    assert secret not in written


@pytest.mark.parametrize(
    "kind", [pytest.param("basic_registry", id="basic"), pytest.param("token_registry", id="token")]
)
def test_an_image_that_may_not_be_read_is_unknown_and_never_clean(
    request: pytest.FixtureRequest, bench: Workbench, small_image: Image, kind: str
) -> None:
    registry: Registry = request.getfixturevalue(kind)
    registry.push(small_image, "whole/small", "1")
    name = f"{registry.host}/whole/small:1"
    bench.configure(registry, name)
    bench.log_in(registry, "not the password")

    answer = bench.run("scan", "--format", "json", name)

    (image,) = the_verdict(answer)["images"]
    assert answer.code == UNKNOWN
    assert image["outcome"] == "unknown"
    assert image["error"]
    assert "not the password" not in answer.out + answer.err


def test_an_event_becomes_a_verdict_in_results_and_explain(
    bench: Workbench, docker_registry: Registry, small_image: Image
) -> None:
    docker_registry.push(small_image, "whole/small", "1")
    bench.configure(docker_registry, f"{docker_registry.host}/whole/small:1")

    accepted = bench.run("event", "--format", "json", str(DEMO / "event.json"))
    verdict = the_verdict(accepted)
    stored = bench.run("results", "--resource", RESOURCE, "--format", "json")
    explained = bench.run("explain", verdict["id"], "--format", "json")

    assert accepted.code in (FAIL, UNKNOWN), accepted.err
    assert [one["id"] for one in stored.document["verdicts"]] == [verdict["id"]]
    assert verdict["images"][0]["image"]["digest"] == small_image.digest
    assert the_verdict(explained)["chain"]["name"] == "default"
    assert "203.0.113.7" not in explained.out, "the caller's address is nobody's business"


def test_a_worker_killed_in_the_middle_leaves_nothing_behind(
    bench: Workbench, docker_registry: Registry, small_image: Image
) -> None:
    docker_registry.push(small_image, "whole/small", "1")
    bench.configure(docker_registry, f"{docker_registry.host}/whole/small:1")
    accepted = bench.run("event", "--no-wait", "--format", "json", str(DEMO / "event.json"))
    (assessment,) = accepted.document["accepted"]

    for seconds in (0.3, 0.6, 0.9, 1.2):
        kill_worker_after(bench, seconds)
    finished = bench.run("worker", "--once")
    stored = bench.run("results", "--format", "json")

    assert finished.code == 0, finished.err
    assert [one["id"] for one in stored.document["verdicts"]] == [assessment]


def kill_worker_after(bench: Workbench, seconds: float) -> None:
    command, environ = bench.command("worker", "--once")
    child = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # our own command
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    child.wait()
