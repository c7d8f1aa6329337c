"""The platform: what runs is what is scanned, and what cannot be read is never taken for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from arm_faults import Fault, TokenBucket
from arm_rig import Rig, azure_rig
from arm_world import SUBSCRIPTION, container_app, container_group, execution, job, revision
from pydantic import ValidationError
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.ids import owns
from scanguard_azure.arm.mapping import MAX_CONTAINERS
from scanguard_azure.arm.platform import MAX_ITEMS, MAX_PAGES

from scanguard.errors import PlatformError, PlatformForbiddenError, PlatformThrottledError
from scanguard.model.deployment import Container


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with azure_rig(tmp_path, monkeypatch) as made:
        yield made


async def test_a_container_group_is_read_with_its_init_containers(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "acme.azurecr.io/shop/api:1.4.2", "nginx", init=["busybox"]))

    found = await rig.platform().describe(id_)

    assert found is not None
    assert found.kind == "container_group"
    assert (found.name, found.subscription, found.resource_group) == ("api1", id_.split("/")[2], "rg-shop")
    assert (found.location, found.tags, str(found.platform)) == ("westeurope", {"env": "prod"}, "linux/amd64")
    assert found.containers == (
        Container(name="i0", image="busybox", init=True),
        Container(name="c0", image="acme.azurecr.io/shop/api:1.4.2"),
        Container(name="c1", image="nginx"),
    )


async def test_a_resource_that_is_gone_is_none(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.world.delete(id_)

    assert await rig.platform().describe(id_) is None


async def test_every_active_revision_of_an_app_is_read_and_duplicates_are_joined(rig: Rig) -> None:
    id_ = rig.world.put(container_app("web", "acme.azurecr.io/web:2", init=["acme.azurecr.io/migrate:2"]))
    rig.arm.page_size = 1
    rig.world.revisions[id_.lower()] = [
        revision("web--3", "acme.azurecr.io/web:2"),
        revision("web--2", "acme.azurecr.io/web:1"),
        revision("web--1", "acme.azurecr.io/web:0", active=False),
        revision("web--0", "acme.azurecr.io/web:1"),
    ]

    found = await rig.platform().describe(id_)

    assert found is not None
    assert found.kind == "container_app"
    assert [(one.name, one.image) for one in found.containers] == [
        ("i0", "acme.azurecr.io/migrate:2"),
        ("c0", "acme.azurecr.io/web:2"),
        ("c0@web--2", "acme.azurecr.io/web:1"),
    ]


async def test_executions_of_a_job_that_run_another_image_are_read(rig: Rig) -> None:
    id_ = rig.world.put(job("nightly", "acme.azurecr.io/batch:1"))
    rig.world.executions[id_.lower()] = [
        execution("nightly-a", "acme.azurecr.io/other:1"),
        execution("nightly-b", "acme.azurecr.io/old:1", status="Succeeded"),
        execution("nightly-c"),
    ]

    found = await rig.platform().describe(id_)
    without = await rig.platform(job_executions=False).describe(id_)

    assert found is not None
    assert without is not None
    assert found.kind == "container_app_job"
    assert [one.image for one in found.containers] == ["acme.azurecr.io/batch:1", "acme.azurecr.io/other:1"]
    assert [one.image for one in without.containers] == ["acme.azurecr.io/batch:1"]


async def test_a_job_is_judged_when_only_its_executions_may_not_be_read(rig: Rig, caplog: Any) -> None:
    id_ = rig.world.put(job("nightly", "acme.azurecr.io/batch:1"))
    rig.world.forbidden.add("/executions")

    found = await rig.platform().describe(id_)

    assert found is not None
    assert [one.image for one in found.containers] == ["acme.azurecr.io/batch:1"]
    assert "Microsoft.App/jobs/executions/read" in caplog.text


async def test_ids_are_understood_in_any_case(rig: Rig) -> None:
    id_ = rig.world.put(container_group("Api1", "nginx"))

    for spelling in (id_.upper(), id_.lower(), f"{id_}/"):
        found = await rig.platform().describe(spelling)
        assert found is not None
        assert found.resource_id == spelling.rstrip("/")


async def test_a_resource_group_may_have_any_letters(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api", "nginx", group="läden_(süd).1"))

    assert await rig.platform().describe(id_) is not None


HOSTILE = [
    "/subscriptions/s/resourceGroups/../providers/Microsoft.App/jobs/x",
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/x/../../y",
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/x?api-version=1",
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/x#y",
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/x%2f..%2fy",
    "/subscriptions/s%2f/resourceGroups/r/providers/Microsoft.App/jobs/x",
    "/subscriptions/s/resourceGroups/r%00/providers/Microsoft.App/jobs/x",
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/x\n",
    "/subscriptions/s/resourceGroups/r\\/providers/Microsoft.App/jobs/x",
    "/subscriptions/s/resourceGroups/r@evil.example/providers/Microsoft.App/jobs/x",
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/x/stop",
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/" + "x" * 5000,
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_id_is_refused_before_anything_is_asked(rig: Rig, hostile: str) -> None:
    assert owns(hostile)
    with pytest.raises(PlatformError, match="is not asked for") as refused:
        await rig.platform().describe(hostile)

    assert len(refused.value.message) < 300
    assert not rig.arm.calls


def test_ids_of_other_kinds_are_not_owned() -> None:
    storage = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/x"
    assert not any(owns(other) for other in ("", "image:nginx", storage, "/subscriptions/s"))


@pytest.mark.parametrize(
    ("make", "part", "action"),
    [
        (container_group, "/containergroups/", "Microsoft.ContainerInstance/containerGroups/read"),
        (container_app, "/containerapps/", "Microsoft.App/containerApps/read"),
        (container_app, "/revisions", "Microsoft.App/containerApps/revisions/read"),
        (job, "/jobs/", "Microsoft.App/jobs/read"),
    ],
)
async def test_a_missing_role_is_named_and_not_tried_again(rig: Rig, make: Any, part: str, action: str) -> None:
    id_ = rig.world.put(make("api1", "nginx"))
    rig.world.forbidden.add(part)

    with pytest.raises(PlatformForbiddenError, match=rf"{action}, at /subscriptions/{SUBSCRIPTION}") as refused:
        await rig.platform().describe(id_)

    assert not refused.value.is_retryable
    assert "AuthorizationFailed" in refused.value.message


async def test_a_subscription_of_another_directory_is_forbidden_not_gone(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.world.subscriptions.clear()

    with pytest.raises(PlatformForbiddenError, match="another directory"):
        await rig.platform().describe(id_)


@pytest.mark.parametrize("code", ["InvalidResourceType", "", "SubscriptionNotRegistered"])
async def test_a_404_that_is_not_about_the_resource_does_not_close_it(rig: Rig, code: str) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.arm.faults = [Fault(status=404, code=code)]

    with pytest.raises(PlatformError, match="404"):
        await rig.platform().describe(id_)


@pytest.mark.parametrize("status", [429, 503])
async def test_being_asked_to_slow_down_says_for_how_long(rig: Rig, status: int) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.arm.faults = [Fault(status=status, retry_after_s=17)]

    with pytest.raises(PlatformThrottledError) as told:
        await rig.platform().describe(id_)

    assert told.value.retry_after_s == 17
    assert told.value.is_retryable
    assert sum(rig.arm.calls.values()) == 1, "no request is sent twice behind the engine's back"


async def test_azures_own_bucket_throttles(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.arm.bucket = TokenBucket(burst=2, per_s=0.01)
    platform = rig.platform()
    await platform.describe(id_)
    await platform.describe(id_)

    with pytest.raises(PlatformThrottledError) as told:
        await platform.describe(id_)

    assert told.value.retry_after_s is not None
    assert told.value.retry_after_s > 10


BROKEN = [
    pytest.param(Fault(status=503), "503", id="503"),
    pytest.param(Fault(status=500, code="InternalServerError"), "500 InternalServerError", id="500"),
    pytest.param(Fault(status=302, code="Found"), "302", id="redirect"),
    pytest.param(Fault(status=409, code="x" * 500), "409 for", id="code too long"),
    pytest.param(Fault("hang"), "did not answer", id="hang"),
    pytest.param(Fault("reset"), "cannot be reached", id="reset"),
    pytest.param(Fault("garbage"), "cannot be reached", id="garbage"),
    pytest.param(Fault("html"), "not JSON", id="html"),
    pytest.param(Fault("huge"), "more than", id="huge"),
    pytest.param(Fault("truncated"), "cannot be reached", id="truncated"),
]


@pytest.mark.parametrize(("fault", "said"), BROKEN)
async def test_whatever_goes_wrong_is_an_error_that_is_tried_again(rig: Rig, fault: Fault, said: str) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.arm.faults = [fault]
    platform = rig.platform(request_timeout_s=0.5, max_answer_bytes=200_000)

    with pytest.raises(PlatformError, match=said) as failed:
        await platform.describe(id_)

    assert failed.value.is_retryable
    assert not isinstance(failed.value, PlatformThrottledError)
    assert not any(token in repr(vars(failed.value)) for token in rig.arm.tokens)


async def test_a_cancelled_read_ends_at_once(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.arm.faults = [Fault("hang")]
    reading = asyncio.ensure_future(rig.platform().describe(id_))
    await rig.arm.asked.wait()
    reading.cancel()

    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_an_expired_token_is_renewed_once(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    platform = rig.platform()
    await platform.describe(id_)
    rig.arm.revoked |= rig.arm.tokens

    assert await platform.describe(id_) is not None
    assert rig.identity.issued == 2


async def test_a_service_that_refuses_every_token_is_not_asked_for_ever(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.arm.faults = [Fault(status=401, code="InvalidAuthenticationToken")]
    platform = rig.platform()

    for _ in range(5):
        with pytest.raises(PlatformError, match="does not accept the identity's token"):
            await platform.describe(id_)

    assert rig.identity.issued == 2
    assert sum(rig.arm.calls.values()) == 6


async def test_many_at_once_share_one_token(rig: Rig) -> None:
    ids = [rig.world.put(container_group(f"api{number}", "nginx")) for number in range(20)]
    platform = rig.platform()

    found = await asyncio.gather(*(platform.describe(id_) for id_ in ids))

    assert all(found)
    assert rig.identity.issued == 1


async def test_without_an_identity_it_says_what_to_do(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.identity.refuses = True

    with pytest.raises(PlatformError, match="assign a managed identity") as failed:
        await rig.platform().describe(id_)

    assert failed.value.is_retryable
    assert not rig.arm.calls


async def test_the_next_page_at_another_host_is_not_fetched(rig: Rig) -> None:
    id_ = rig.world.put(container_app("web", "nginx"))
    platform = rig.platform()
    links: list[Any] = [
        "https://evil.example/x",
        rig.arm.url.replace("https://", "http://") + "/x",
        rig.arm.url + "@evil.example/x",
        rig.arm.url.replace("https://", "https://user@") + "/x",
        "//evil.example/x",
        "/x",
        17,
        "https://[",
    ]
    for link in links:
        rig.arm.next_link = link
        with pytest.raises(PlatformError, match="another address"):
            await platform.describe(id_)


async def test_pages_that_never_end_are_given_up(rig: Rig) -> None:
    id_ = rig.world.put(container_app("web", "nginx"))
    rig.arm.next_link = f"{rig.arm.url}{id_}/revisions?api-version=2025-07-01"

    with pytest.raises(PlatformError, match="do not end"):
        await rig.platform().describe(id_)

    assert sum(rig.arm.calls.values()) == 1 + MAX_PAGES


async def test_an_app_that_goes_while_it_is_read_is_read_again_later(rig: Rig) -> None:
    id_ = rig.world.put(container_app("web", "nginx"))
    rig.arm.faults = [Fault(status=404, code="ResourceNotFound", path="*/revisions")]

    with pytest.raises(PlatformError, match="went away"):
        await rig.platform().describe(id_)


async def test_doctor_is_told_what_stands_in_the_way(rig: Rig) -> None:
    await rig.platform().check()
    rig.world.forbidden.add("/subscriptions/")

    with pytest.raises(PlatformForbiddenError, match=r"Microsoft\.Resources/subscriptions/read"):
        await rig.platform().check()


@pytest.mark.parametrize(("minutes", "is_wrong"), [(0, False), (2, False), (-10, True), (10, True)])
async def test_doctor_sees_a_clock_that_is_wrong(rig: Rig, minutes: float, is_wrong: bool) -> None:
    rig.arm.date = format_datetime(rig.clock.now() + timedelta(minutes=minutes), usegmt=True)

    with pytest.raises(PlatformError, match="600 s apart") if is_wrong else nullcontext():
        await rig.platform().check()


@pytest.mark.parametrize("date", ["", "never", "Mon, 99 Foo 0000 99:99:99 GMT"])
async def test_a_date_that_says_nothing_is_no_wrong_clock(rig: Rig, date: str) -> None:
    rig.arm.date = date

    await rig.platform().check()


async def test_nothing_is_asked_for_before_the_first_call(rig: Rig) -> None:
    rig.platform()

    assert not rig.identity.issued
    assert not rig.arm.calls


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "inventory_every: null"),
        ({"inventory_every": None, "management_url": "http://127.0.0.1"}, "https://host"),
        ({"inventory_every": None, "management_url": "https://u:p@host"}, "https://host"),
        ({"inventory_every": None, "management_url": "https://host/path"}, "https://host"),
        ({"inventory_every": "1s", "subscriptions": ["s"]}, "inventory_every"),
        ({"subscriptions": ["s/../x"]}, "subscriptions"),
        ({"subscriptions": ["s"], "client_id": "somebody"}, "client_id"),
        ({"subscriptions": ["s"], "api_versions": {"jobs": "latest"}}, "jobs"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AzureConfig.model_validate(options)


async def test_more_revisions_than_azure_keeps_are_not_kept_here(rig: Rig) -> None:
    id_ = rig.world.put(container_app("web", "nginx"))
    rig.world.revisions[id_.lower()] = [revision(f"web--{number}", "nginx") for number in range(MAX_ITEMS + 1)]

    with pytest.raises(PlatformError, match="more than 1,000"):
        await rig.platform().describe(id_)


async def test_an_app_with_more_containers_than_can_be_is_refused_whole(rig: Rig) -> None:
    id_ = rig.world.put(container_app("web", *(f"image{number}" for number in range(MAX_CONTAINERS + 1))))

    with pytest.raises(PlatformError, match="more than 500 containers"):
        await rig.platform().describe(id_)


async def test_a_workload_that_shows_no_container_is_not_nothing_found(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api"))

    with pytest.raises(PlatformError, match="no containers yet"):
        await rig.platform().describe(id_)


async def test_an_answer_about_another_resource_is_not_taken(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api", "nginx"))
    rig.world.resources[id_.lower()]["id"] = id_.replace("api", "other")

    with pytest.raises(PlatformError, match="another resource"):
        await rig.platform().describe(id_)


@pytest.mark.parametrize(("system", "platform"), [("Windows", "windows/amd64"), ("Linux", "linux/amd64"), (7, "None")])
async def test_what_a_group_runs_on_chooses_the_image(rig: Rig, system: Any, platform: str) -> None:
    document = container_group("api", "nginx")
    document["properties"]["osType"] = system

    found = await rig.platform().describe(rig.world.put(document))

    assert found is not None
    assert str(found.platform) == platform


async def test_the_workloads_own_logins_are_kept_in_words(rig: Rig) -> None:
    group, app = container_group("api", "nginx"), container_app("web", "nginx")
    group["properties"]["imageRegistryCredentials"] = [
        {"server": "ACME.azurecr.io", "username": "acme", "password": None},
        {"server": "b.azurecr.io", "identity": "/subscriptions/S/x/userAssignedIdentities/id1"},
        {"server": 7},
    ]
    app["properties"]["configuration"]["registries"] = [
        {"server": "index.docker.io", "username": "u", "passwordSecretRef": "hubpw"},
        {"server": "acme.azurecr.io", "identity": "system"},
    ]

    of_group = await rig.platform().describe(rig.world.put(group))
    of_app = await rig.platform().describe(rig.world.put(app))

    assert of_group is not None
    assert of_app is not None
    assert of_group.registries == {
        "acme.azurecr.io": "as the user acme",
        "b.azurecr.io": "with the managed identity id1",
    }
    assert of_app.registries == {
        "docker.io": "as the user u, password in its secret hubpw",
        "acme.azurecr.io": "with the managed identity system",
    }
