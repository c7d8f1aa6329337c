"""Metrics as a collector has them, and a configuration whose plugins make some of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from scanguard.testing.images import build_image, write_oci_folder

CONFIG = """\
version: 1
engine: {backoff_s: 0.05, max_backoff_s: 0.1, attempts: 2, delivery_attempts: 1}
chains:
  default:
    scanners: {use: [looks, refuses]}
    policies: [{plugin: threshold}]
    notifiers: [{use: pager}, {use: deaf}]
exclude: [/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups/ours]
instances:
  looks: {plugin: acme, token: env:ACME_TOKEN, meter: true}
  refuses: {plugin: acme, fails: true}
  pager: {plugin: acme-pager}
  deaf: {plugin: acme-pager, fails: true}
"""
EXPECTED: Mapping[tuple[str, str], int] = {
    ("scanguard.events", "outcome=accepted"): 1,
    ("scanguard.events", "outcome=rejected"): 1,
    ("scanguard.events", "outcome=skipped"): 1,
    ("scanguard.scans", "outcome=done,scanner=looks"): 1,
    ("scanguard.scans", "outcome=failed,scanner=refuses"): 1,
    ("scanguard.verdicts", "outcome=unknown"): 1,
    ("scanguard.deliveries", "instance=pager,outcome=delivered"): 1,
    ("scanguard.deliveries", "instance=deaf,outcome=failed"): 1,
    ("scanguard.dead_letters", "kind=assessment"): 1,
    ("scanguard.dead_letters", "kind=delivery"): 1,
    ("scanguard.dead_letters", "kind=scan"): 1,
}
"""What one image and :func:`events` come to."""


def write_configuration(folder: Path) -> Path:
    """The configuration above, and an image beside it; the path of the configuration."""
    path = folder / "scanguard.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    write_oci_folder(folder / "image", {"1": build_image([{"etc/motd": b"hello"}])})
    return path


def events() -> bytes:
    """Three events: of a resource nobody knows, of one that is excluded, and a broken one."""
    group = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups"
    good, excluded = (
        {**_EVENT, "id": name, "data": {**_DATA, "resourceUri": f"{group}/{name}"}} for name in ("a", "ours")
    )
    return json.dumps([good, excluded, {**_EVENT, "id": "broken", "eventTime": "never"}]).encode()


_DATA = {"operationName": "Microsoft.ContainerInstance/containerGroups/write"}
_EVENT = {
    "topic": "/subscriptions/s",
    "subject": "/x",
    "eventType": "Microsoft.Resources.ResourceWriteSuccess",
    "eventTime": "2026-01-01T00:00:00Z",
    "dataVersion": "2",
    "data": _DATA,
}
