"""What the demo is fed is what its papers say."""

import gzip
import hashlib
import json
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from workspace import ROOT

DEMO = ROOT / "examples" / "demo"
ADVISORIES = DEMO / "advisories"
EMBEDDED_LIMIT_BYTES = 3_000_000


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    with tarfile.open(DEMO / "image.tar") as archive:
        return {member.name: read(archive, member) for member in archive if member.isfile()}


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def test_every_blob_of_the_image_has_its_digest(files: dict[str, bytes]) -> None:
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/sha256/")}

    assert len(blobs) == 4, "manifest, config, and two layers"
    assert all(hashlib.sha256(data).hexdigest() == Path(name).name for name, data in blobs.items())
    assert sum(map(len, files.values())) < EMBEDDED_LIMIT_BYTES


def test_the_provenance_names_this_image_and_these_layers(files: dict[str, bytes]) -> None:
    page = (DEMO / "PROVENANCE.md").read_text(encoding="utf-8")
    manifest_digest = json.loads(files["index.json"])["manifests"][0]["digest"]
    manifest = json.loads(blob(files, manifest_digest))
    diff_ids = json.loads(blob(files, manifest["config"]["digest"]))["rootfs"]["diff_ids"]
    unpacked = [gzip.decompress(blob(files, layer["digest"])) for layer in manifest["layers"]]

    assert [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in unpacked] == diff_ids
    assert all(digest in page for digest in (manifest_digest, *diff_ids))


def test_the_provenance_names_every_source_with_its_hash_and_licence() -> None:
    page = (DEMO / "PROVENANCE.md").read_text(encoding="utf-8")
    sources = json.loads((ROOT / "tools" / "demo_image_sources.json").read_text(encoding="utf-8"))

    rows: list[dict[str, str]] = [*sources["debian"]["packages"], *sources["pypi"]]
    assert len(rows) > 10
    for row in rows:
        assert f"| {row['name']} | {row['version']} | {row['licence']} | `{row['sha256']}` |" in page


def test_the_advisories_say_that_they_are_a_snapshot_and_of_when() -> None:
    (snapshot,) = ADVISORIES.glob("*.zip")
    page = (ADVISORIES / "README.md").read_text(encoding="utf-8")
    records = read_records(snapshot)
    newest = max(record["modified"] for record in records)

    assert newest[:10] in snapshot.name
    assert "snapshot" in snapshot.name
    assert newest[:10] in page
    assert f"{len(records):,} real advisories" in page
    assert hashlib.sha256(snapshot.read_bytes()).hexdigest() in page
    assert "not current" in page


def test_the_event_names_nobody() -> None:
    text = (DEMO / "event.json").read_text(encoding="utf-8")

    ids = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))
    assert ids
    assert all(len(set(one) - {"-"}) <= 3 for one in ids), "made-up ids only"
    assert "@" not in text


def read_records(snapshot: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(snapshot) as archive:
        return [json.loads(archive.read(name)) for name in archive.namelist()]


def blob(files: dict[str, bytes], digest: str) -> bytes:
    return files[f"blobs/{digest.replace(':', '/')}"]
