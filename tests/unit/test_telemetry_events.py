"""What events and audit records say, and that the documentation says the same."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from workspace import ROOT

from scanguard.app import App, AppOptions
from scanguard.app.dead_letters import DeadLetterDesk
from scanguard.app.reported import reported
from scanguard.engine.engine import Engine
from scanguard.errors import EventError, NotifyRefusedError, ScannerAuthError, ScanUnsupportedError
from scanguard.telemetry import events
from scanguard.telemetry.events import acting
from scanguard.testing.images import build_image, write_oci_folder
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost

GUIDE = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")


class Watched(Rig):
    """A rig whose engine reports, as the application's does."""

    def restart(self) -> Engine:
        observe = reported(None)
        self.engine = Engine(self.memory.backend(), RigHost(self), limits=self.limits, observe=observe)
        return self.engine


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger=events.EVENTS)
    caplog.set_level(logging.INFO, logger=events.AUDIT)
    return caplog


def of(said: pytest.LogCaptureFixture, name: str) -> list[Mapping[str, Any]]:
    return [vars(record) for record in said.records if vars(record).get(events.EVENT_NAME) == name]


async def test_a_verdict_is_one_event_an_image_with_counts_from_its_report(said: pytest.LogCaptureFixture) -> None:
    rig = Watched()
    rig.scanners["one"].findings = ("CVE-1", "CVE-2")
    rig.deploy("/subscriptions/s/a", "app:1", "side:1")
    rig.missing_images.add("side:1")
    name = await rig.announce("/subscriptions/s/a")
    await rig.run()
    found = of(said, "ContainerScan")
    assert [(one["Image"], one["Container"], one["ScanId"], one["Revision"]) for one in found] == [
        ("app:1", "c0", name, 1),
        ("side:1", "c1", name, 1),
    ]
    good, missing = found
    assert {**{key: good[key] for key in ("ContainerType", "Kind", "Scanners", "VulnTotal", "EventType")}} == {
        "ContainerType": "ACI",
        "Kind": "container_group",
        "Scanners": "one",
        "VulnTotal": 2,
        "EventType": "ContainerScan",
    }
    assert sum(good[count] for count in events.COUNTS.values()) == 2
    assert (missing["Verdict"], missing["Digest"], missing["Scanners"]) == ("unknown", "", "")
    assert not [key for key in missing if key.startswith("Vuln")], "not looked at is not zero"


async def test_a_report_that_comes_late_says_it_again_with_the_next_revision(said: pytest.LogCaptureFixture) -> None:
    rig = Watched()
    rig.plan = replace(rig.plan, deadline=timedelta(minutes=10))
    rig.scanners["one"].wait_s = 1_200
    rig.deploy("/a", "app:1")
    await rig.announce("/a")
    await rig.run()
    assert [(one["Revision"], one["Verdict"], one["Scanners"]) for one in of(said, "ContainerScan")] == [
        (1, "unknown", ""),
        (2, "pass", "one"),
    ]


async def test_a_scan_says_once_that_it_begins_and_once_that_it_failed(said: pytest.LogCaptureFixture) -> None:
    rig = Watched(scanners=("one", "two"))
    rig.scanners["one"].wait_s = 90
    rig.scanners["two"].faults = [ScanUnsupportedError("this scanner knows no such image")]
    rig.deploy("/a", "app:1")
    rig.deploy("/b", "app:1")
    first = await rig.announce("/a")
    await rig.announce("/b")
    await rig.run()
    assert sorted((one["Component"], one["ScanId"]) for one in of(said, "ContainerScanStarted")) == [
        ("one", first),
        ("two", first),
    ]
    (failed,) = of(said, "ContainerScanFailed")
    assert (failed["Component"], failed["ErrorKind"]) == ("two", "ScanUnsupportedError")
    assert failed["Error"] == "this scanner knows no such image"
    assert failed["Digest"].startswith("sha256:")


async def test_every_try_to_tell_somebody_is_in_the_audit(said: pytest.LogCaptureFixture) -> None:
    rig = Watched()
    rig.notifier.faults = [NotifyRefusedError("gone for good")]
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.run()
    told = [(one["Action"], one["Actor"], one["Target"], one["Outcome"]) for one in of(said, "ScanguardAudit")]
    assert sorted(told) == [
        ("deliver.notifier", "engine", "notifier", "failed"),
        ("deliver.sink", "engine", "sink", "done"),
    ]
    assert {one["ScanId"] for one in of(said, "ScanguardAudit")} == {name}


async def test_what_people_ask_for_is_in_the_audit_with_who_asked_and_why(said: pytest.LogCaptureFixture) -> None:
    rig = Watched()
    rig.scanners["one"].faults = [ScannerAuthError("refused")]
    rig.scanners["one"].wait_s = 90
    rig.deploy("/a", "app:1")
    await rig.announce("/a")
    await rig.run()
    rig.deploy("/b", "other:1")
    under_way = await rig.announce("/b")
    await rig.work_once()
    desk = DeadLetterDesk(rig.engine.context)
    letters = await desk.all()
    with acting("entra:00000000-0000-0000-0000-000000000001"):
        await desk.replay(letters)
        assert await desk.cancel(under_way, "a mistake")
        await desk.drop(await desk.all(), "known")
        with pytest.raises(EventError):
            await desk.drop(letters, " ")
        assert not await desk.cancel("nobody", "a mistake")
    asked = [one for one in of(said, "ScanguardAudit") if not one["Action"].startswith("deliver")]
    assert [(one["Action"], one["Target"], one["Detail"]) for one in asked] == [
        ("dead_letter.replay", f"scan {letters[0].id}", ""),
        ("assessment.cancel", under_way, "a mistake"),
        ("dead_letter.drop", f"assessment {under_way}", "known"),
    ]
    assert {one["Actor"] for one in asked} == {"entra:00000000-0000-0000-0000-000000000001"}


async def test_a_scan_that_is_forced_is_in_the_audit(said: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    write_oci_folder(tmp_path / "image", {"1": build_image([{"a": b"b"}])})
    image = f"oci:{tmp_path / 'image'}"
    async with App.load(AppOptions(config=(), data_dir=tmp_path / "data", environ={})) as app:
        await app.accept_images([image])
        assert not of(said, "ScanguardAudit")
        with acting("cli"):
            (forced,) = await app.accept_images([image], force=True)
    (one,) = of(said, "ScanguardAudit")
    assert (one["Action"], one["Actor"], one["Target"], one["ScanId"]) == (
        "rescan.force",
        "cli",
        f"image:{image}",
        forced,
    )


def test_the_documented_events_and_fields_are_those_in_the_code() -> None:
    table = GUIDE[GUIDE.index("| event | when |") :]
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \|$", table, re.MULTILINE) == [
        events.CONTAINER_SCAN,
        events.SCAN_STARTED,
        events.SCAN_FAILED,
        events.AUDIT_EVENT,
    ]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == {
        *events.VERDICT_DIMENSIONS,
        *events.COUNTS.values(),
        events.TOTAL,
        *events.SCAN_DIMENSIONS,
        *events.FAILURE_DIMENSIONS,
        *events.AUDIT_DIMENSIONS,
    }
