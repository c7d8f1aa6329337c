"""A private image that scanguard may not read: the verdict says how the workload itself gets at it."""

from __future__ import annotations

from scanguard.errors import ImageNotFoundError, RegistryAuthError, ScanguardError
from scanguard.model.verdict import Outcome, Verdict
from scanguard.testing.rig import Rig

HOST = "acme.example"


async def judged(error: ScanguardError) -> Verdict:
    """The verdict on a workload whose registry refuses, and that shows one login."""
    rig = Rig()
    rig.deploy("/a", f"{HOST}/api:1")
    rig.deployments["/a"] = rig.deployments["/a"].model_copy(update={"registries": {HOST: "as the user deploy"}})
    rig.resolve_faults = [error]
    name = await rig.announce("/a")
    await rig.run()
    return rig.verdict(name)


async def test_the_verdict_names_the_host_and_the_login_that_scanguard_lacks() -> None:
    verdict = await judged(RegistryAuthError(f"{HOST} refuses", target=HOST))

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.images[0].error_kind == "RegistryAuthError"
    assert f"the workload logs in to {HOST} as the user deploy" in verdict.images[0].error


async def test_of_another_registry_or_another_failure_nothing_is_said() -> None:
    other = await judged(RegistryAuthError("other.example refuses", target="other.example"))
    gone = await judged(ImageNotFoundError("no such image", target=HOST))

    assert "the workload logs in" not in other.images[0].error + gone.images[0].error
