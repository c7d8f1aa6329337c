"""One image, three scanners, one report: OSV offline, a real Trivy, a simulated Qualys account, a real registry.

The example in ``docs/several-scanners.md`` is what this runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import real_trivy
import registries
import yaml
from oci_archive import Entry, build_image, layer_tar
from scanguard_qualys.simulator import QualysSimulator, Scenario
from workspace import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(real_trivy.BUILD_TIMEOUT_S)]

SITE = "usr/lib/python3/site-packages/Werkzeug-0.14.1.dist-info"
ALPINE = {
    "etc/os-release": b"ID=alpine\nVERSION_ID=3.9.4\n",
    "etc/alpine-release": b"3.9.4\n",
    "lib/apk/db/installed": b"P:musl\nV:1.1.20-r4\nA:x86_64\no:musl\nL:MIT\n\n",
    f"{SITE}/METADATA": b"Metadata-Version: 2.0\nName: Werkzeug\nVersion: 0.14.1\nLicense: BSD\n",
}
SNAPSHOT = ROOT / "examples" / "demo" / "advisories" / "pypi-snapshot-2024-10-10.zip"


def example() -> dict[str, object]:
    """The configuration of the guide."""
    text = (ROOT / "docs" / "several-scanners.md").read_text(encoding="utf-8")
    written = text.partition("<!-- three scanners -->")[2].partition("```yaml\n")[2].partition("```")[0]
    document: dict[str, object] = yaml.safe_load(written)
    return document


def run(folder: Path, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("scanguard"))
    command = [program, "--data-dir", str(folder / "data"), "--config", str(folder / "scanguard.yaml"), *arguments]
    return subprocess.run(  # noqa: S603  # our own program
        command, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=120, cwd=folder
    )


async def test_one_command_asks_three_scanners_and_tells_who_says_what(tmp_path: Path) -> None:
    trivy = await asyncio.to_thread(real_trivy.trivy)
    await asyncio.to_thread(real_trivy.database_folder, tmp_path / "trivy-db" / "cache-0")
    (tmp_path / "registry").mkdir()  # a folder of the test
    with registries.open_registry(tmp_path / "registry") as registry:
        async with QualysSimulator(Scenario(latency_s=2, findings=3)) as simulator:
            image = build_image(
                [layer_tar([Entry(path, data) for path, data in ALPINE.items()], mtime=0)],
                created="2024-10-10T00:00:00Z",
                config={},
            )
            registry.push(image, "shop/web", "1")
            configuration = example()
            instances = configuration["instances"]
            assert isinstance(instances, dict)
            instances["qualys"] |= {"url": simulator.url, "poll_interval_s": 1}
            instances["trivy"] |= {
                "binary": str(trivy),
                "cache_dir": str(tmp_path / "trivy-db"),
                "update_databases": False,
                "allowed_versions": [real_trivy.VERSION],
            }
            configuration["registries"] = {"insecure": [registry.host], "ca_file": str(simulator.ca_file)}
            (tmp_path / "scanguard.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
            env = {"QUALYS_USER": "sim-user", "QUALYS_PASSWORD": "sim-password", "COLUMNS": "120"}
            imported = await asyncio.to_thread(run, tmp_path, "osv", "import", str(SNAPSHOT), env=env)
            assert imported.returncode == 0, imported.stderr
            name = f"{registry.host}/shop/web:1"
            told = await asyncio.to_thread(run, tmp_path, "scan", name, env=env)
            as_json = await asyncio.to_thread(run, tmp_path, "scan", name, "--format", "json", env=env)

    assert told.returncode in (10, 11), told.stderr
    for words in ("REPORTED BY", "osv and trivy", "only qualys", "only osv"):
        assert words in told.stdout, told.stdout
    document = json.loads(as_json.stdout)
    ((name_, report),) = document["reports"].items()
    joined = next(
        one for one in report["findings"] if "CVE-2019-14806" in (one["finding"]["id"], *one["finding"]["aliases"])
    )
    assert joined["found_by"] == ["osv", "trivy"]
    assert {said["finding"]["id"] for said in joined["said"]} >= {"CVE-2019-14806"}
    assert {one["instance"]: one["status"] for one in document["verdicts"][0]["images"][0]["scanners"]} == {
        "osv": "done",
        "trivy": "done",
        "qualys": "done",
    }
    assert len(simulator.recorded.submissions) <= 1, "the second scan is answered from the first"
    assert name_.startswith("merged/")
