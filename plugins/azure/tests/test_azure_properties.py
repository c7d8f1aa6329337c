"""Whatever Azure, or somebody who pretends to be, says: a deployment, an event, nothing, or the error of its kind."""

from __future__ import annotations

from typing import Any

from arm_world import container_app, container_group, job
from hypothesis import given, settings
from hypothesis import strategies as st
from scanguard_azure.acr import accepts_acr, parse_acr
from scanguard_azure.arm.ids import Kind, owns, parse_id
from scanguard_azure.arm.mapping import MAX_CONTAINERS, deployment

from scanguard.errors import EventError, PlatformError
from scanguard.model.deployment import Deployment, Event
from scanguard.testing.samples import NOW
from scanguard.testing.strategies import json_objects

KINDS = (container_group("a", "nginx", init=["busybox"]), container_app("a", "x"), job("a", "x"))


def resources(like: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Answers that look a little like one."""
    return json_objects(like).map(lambda made: {**made, "id": like["id"]})


RESOURCES = st.one_of(*map(resources, KINDS))
REVISIONS = st.lists(st.tuples(st.text(max_size=5), json_objects({"containers": [{"image": "x"}]})), max_size=3)


@settings(max_examples=100, deadline=None, database=None)
@given(RESOURCES, REVISIONS)
def test_any_resource_gives_a_deployment_or_a_platform_error(document: dict[str, Any], more: list[Any]) -> None:
    try:
        found = deployment(parse_id(document["id"]), document, more, NOW)
    except PlatformError:
        return

    assert isinstance(found, Deployment)
    assert 0 < len(found.containers) <= MAX_CONTAINERS
    assert Deployment.model_validate_json(found.model_dump_json()) == found


@settings(max_examples=100, deadline=None, database=None)
@given(json_objects({"id": "1", "eventType": "ImagePushed", "eventTime": "2026-03-01T21:39:47Z", "topic": "t",
                     "data": {"target": {"repository": "a", "digest": f"sha256:{'0' * 64}", "tag": "1"},
                              "request": {"host": "acme.azurecr.io"}}}))  # fmt: skip
def test_any_event_gives_an_event_nothing_or_an_event_error(event: dict[str, Any]) -> None:
    assert isinstance(accepts_acr(event), bool)
    try:
        parsed = parse_acr(event)
    except EventError:
        return
    assert parsed is None or isinstance(parsed, Event)


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.sampled_from(Kind))
def test_an_id_that_is_let_through_is_a_plain_path(subscription: str, group: str, name: str, kind: Kind) -> None:
    text = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind.type}/{name}"
    assert isinstance(owns(text), bool)
    try:
        found = parse_id(text)
    except PlatformError:
        return

    assert found.path.isascii()
    assert found.path.count("/") == 8
    assert not any(part in (".", "..") for part in found.path.split("/"))
    assert not set(found.path) & set("?#\\@ \t\r\n")
    assert found.kind is kind
    assert owns(text)
