"""A program that stands for Trivy, and what else the tests of the plugin are made of."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.reference import ImageReference
from scanguard.oci.credentials import RegistryCredential
from scanguard.testing.samples import NOW

DIGEST = "sha256:" + "ab" * 32
CONFIG_DIGEST = "sha256:" + "cd" * 32
REFERENCE = f"registry.example/shop/web@{DIGEST}"

FAKE = r"""
import json, os, pathlib, signal, sys, time

here = pathlib.Path(sys.argv[0]).parent
plan = json.loads((here / "plan.json").read_text())
arguments = sys.argv[1:]
options = dict(one.lstrip("-").split("=", 1) for one in arguments if one.startswith("--") and "=" in one)
stdin = sys.stdin.read() if "--password-stdin" in arguments else ""
entry = {"arguments": arguments, "env": dict(os.environ), "stdin": stdin, "cwd": os.getcwd(), "in_cwd": os.listdir()}
with open(here / "asked.jsonl", "a") as log:
    log.write(json.dumps(entry) + "\n")
cache = pathlib.Path(os.environ["TRIVY_CACHE_DIR"])


def state(name):
    path = cache / name / "metadata.json"
    return json.loads(path.read_text()) if path.exists() else None


def play(steps):
    if steps.get("spawn"):
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (here / "child.pid").write_text(str(child.pid))
    if "touch" in steps:
        (here / "started").write_text("")
    time.sleep(steps.get("sleep", 0))
    for stream, text in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        text.write(steps.get(stream, ""))
    for _ in range(steps.get("flood", 0)):
        sys.stdout.write("x" * 65536)
    sys.stdout.flush()
    if "signal" in steps:
        os.kill(os.getpid(), steps["signal"])
    if steps.get("status"):
        sys.exit(steps["status"])


if arguments[0] == "version":
    play(plan.get("version_steps", {}))
    told = {"Version": plan["version"], "VulnerabilityDB": state("db"), "JavaDB": state("java-db")}
    print(plan.get("version_text") or json.dumps({key: value for key, value in told.items() if value}))
elif "--download-db-only" in arguments or "--download-java-db-only" in arguments:
    name = "db" if "--download-db-only" in arguments else "java-db"
    repository = options["db-repository" if name == "db" else "java-db-repository"]
    play(plan.get("downloads", {}).get(repository, {}))
    (cache / name).mkdir(parents=True, exist_ok=True)
    (cache / name / "metadata.json").write_text(json.dumps(plan["downloaded"]))
else:
    play(plan.get("steps", {}))
    if plan.get("has_jars") and state("java-db") is None:
        sys.stderr.write("x\tFATAL\tFatal error\t'--skip-java-db-update' cannot be specified on the first run\n")
        sys.exit(1)
    report = options["output"]
    if "raw" in plan:
        with open(report, "wb") as out:
            out.write(bytes.fromhex(plan["raw"]))
    elif plan.get("report") is not None:
        document = plan["report"]
        if "input" in options:
            layout = pathlib.Path(options["input"])
            (listed,) = json.loads((layout / "index.json").read_text())["manifests"]
            blob = layout / "blobs" / listed["digest"].replace(":", "/")
            document["Metadata"]["ImageID"] = json.loads(blob.read_text())["config"]["digest"]
        else:
            document["ArtifactName"] = arguments[-1]
            document["Metadata"].setdefault("RepoDigests", [arguments[-1]])
        pathlib.Path(report).write_text(json.dumps(document))
"""

VULNERABILITY: Mapping[str, Any] = {
    "VulnerabilityID": "CVE-2019-14697",
    "PkgID": "musl@1.1.20-r4",
    "PkgName": "musl",
    "PkgIdentifier": {"PURL": "pkg:apk/alpine/musl@1.1.20-r4?arch=x86_64&distro=3.9.4", "UID": "1"},
    "InstalledVersion": "1.1.20-r4",
    "FixedVersion": "1.1.20-r5",
    "Status": "fixed",
    "Severity": "CRITICAL",
}


def report_with(*results: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    """A report as Trivy writes it; results are left out when there are none."""
    document: dict[str, Any] = {
        "SchemaVersion": 2,
        "Trivy": {"Version": "0.69.3"},
        "ArtifactType": "container_image",
        "Metadata": {"OS": {"Family": "alpine", "Name": "3.20.1"}, **metadata},
    }
    if results:
        document["Results"] = list(results)
    return document


def alpine_result(*vulnerabilities: Mapping[str, Any]) -> dict[str, Any]:
    """The packages of a distribution."""
    package = {"ID": "musl@1.1.20-r4", "Name": "musl", "Identifier": {"UID": "1"}, "SrcName": "musl"}
    return {
        "Target": "x (alpine 3.20.1)",
        "Class": "os-pkgs",
        "Type": "alpine",
        "Packages": [package],
        "Vulnerabilities": list(vulnerabilities),
    }


def database_made(ago: timedelta, *, due_in: timedelta = timedelta(hours=6)) -> dict[str, Any]:
    """What ``metadata.json`` says of a database."""
    return {
        "Version": 2,
        "UpdatedAt": (NOW - ago).isoformat(),
        "NextUpdate": (NOW + due_in).isoformat(),
        "DownloadedAt": NOW.isoformat(),
    }


@dataclass
class FakeTrivy:
    """A program in a folder of its own; ``plan`` says what it does, ``asked`` what it was asked."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        program = Path(sys.executable).resolve()  # of the environment, whose own path may hold a space
        self.path.write_text(f"#!{program} -SE\n{FAKE}", encoding="utf-8")
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)
        self.plan()

    @property
    def path(self) -> Path:
        return self.folder / "trivy"

    def plan(self, **changes: Any) -> FakeTrivy:
        """What it does: by default, version 0.69.3, a database made an hour ago, one vulnerability."""
        plan = {
            "version": "0.69.3",
            "report": report_with(alpine_result(VULNERABILITY)),
            "downloaded": database_made(timedelta(hours=1)),
            **changes,
        }
        (self.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        return self

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Each run: its arguments, environment, input and folder."""
        path = self.folder / "asked.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    @property
    def scans(self) -> list[dict[str, Any]]:
        """The runs on an image."""
        return [one for one in self.asked if any(text.startswith("--output=") for text in one["arguments"])]

    @property
    def downloads(self) -> list[dict[str, Any]]:
        """The runs that download a database."""
        return [one for one in self.asked if any(text.startswith("--download-") for text in one["arguments"])]

    def config(self, **options: Any) -> dict[str, Any]:
        """A configuration that uses it."""
        return {"binary": str(self.path), **options}


class Credentials:
    """Stands for the images an engine lends: knows credentials by registry."""

    def __init__(self, known: Mapping[str, RegistryCredential]) -> None:
        self._known = known

    async def credential(self, image: ResolvedImage) -> RegistryCredential | None:
        return self._known.get(image.reference.registry) if image.reference else None


def remote_image(reference: str = REFERENCE) -> ResolvedImage:
    """An image in a registry."""
    parsed = ImageReference.parse(reference)
    return ResolvedImage(
        name=reference,
        source=reference,
        reference=parsed,
        digest=str(parsed.digest),
        config_digest=CONFIG_DIGEST,
        platform=Platform(),
        resolved_at=NOW,
    )


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
