"""How an earlier system made images clean that nobody had looked at: one test for each fault of an engine, by name.

A1 to A5 are faults of a scanner plugin, tested there.
"""

from __future__ import annotations

from scanguard.engine.documents import task_id
from scanguard.errors import ScannerAuthError
from scanguard.model.image import Platform
from scanguard.model.verdict import Outcome
from scanguard.settings.schema import Settings
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import digest_of
from scanguard.testing.samples import sample_image


async def judged(rig: Rig, resource: str, *images: str, minutes: float = 240) -> str:
    rig.deploy(resource, *images)
    name = await rig.announce(resource)
    await rig.run(minutes=minutes)
    return name


async def test_a6_no_name_of_a_workload_switches_scanning_off() -> None:
    rig = Rig()
    rig.scanners["one"].findings = ("CVE-1",)
    for name in ("qscanner-1", "scanguard", "aci-qscanner-x"):
        resource = f"/subscriptions/s/resourceGroups/g/providers/p/containerGroups/{name}"
        assert rig.verdict(await judged(rig, resource, f"{name}:1")).outcome is Outcome.FAIL
    excluded = Settings.model_fields["exclude"].description or ""
    assert "no name, no tag, no glob" in excluded


def test_a7_images_whose_names_look_alike_never_share_a_key() -> None:
    def key(digest: str) -> str:
        image = sample_image().model_copy(update={"digest": digest, "platform": Platform()})
        return task_id(image, "one", "options")

    assert key(digest_of("acr.io/foo/bar:1")) != key(digest_of("acr.io/foo_bar:1"))


async def test_a8_a_tag_that_means_another_image_is_scanned_again_at_once() -> None:
    rig = Rig()
    await judged(rig, "/a", "app:1")
    rig.scanners["one"].findings = ("CVE-1",)
    rig.retagged["app:1"] = "another build"
    assert rig.verdict(await judged(rig, "/b", "app:1")).outcome is Outcome.FAIL


async def test_a8_a_scan_that_failed_does_not_count_as_one() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("no")]
    assert rig.verdict(await judged(rig, "/a", "app:1")).outcome is Outcome.UNKNOWN
    rig.scanners["one"].findings = ("CVE-1",)
    assert rig.verdict(await judged(rig, "/b", "app:1")).outcome is not Outcome.PASS


async def test_a9_init_containers_are_judged_too() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1", "setup:1")
    deployment = rig.deployments["/a"]
    first, second = deployment.containers
    rig.deployments["/a"] = deployment.model_copy(
        update={"containers": (first, second.model_copy(update={"init": True}))}
    )
    rig.scanners["one"].findings = ("CVE-1",)
    name = await rig.announce("/a")
    await rig.run()
    verdict = rig.verdict(name)
    assert [(image.init, image.outcome) for image in verdict.images] == [(False, Outcome.FAIL), (True, Outcome.FAIL)]
