"""Microsoft's own examples: each is understood, or refused for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from scanguard_azure.acr import accepts_acr, parse_acr
from scanguard_azure.arm.ids import parse_id
from scanguard_azure.arm.mapping import deployment

from scanguard.builtin.plugin import scanguard_event_sources
from scanguard.errors import EventError
from scanguard.hooks import EventSourceSpec
from scanguard.intake import parse_events
from scanguard.testing.samples import NOW

DATA = Path(__file__).parent / "data"
GROUPS = sorted(DATA.glob("aci-containerGroups-*.json"))
EVENTS = [*sorted(DATA.glob("*-success.json")), DATA / "acr-events.json"]
FILLED = {
    "{subscription-id}": "00000000-0000-0000-0000-000000000001",
    "{resource-group}": "rg-shop",
    "<registry-name>": "acme",
    "<repository-name>": "shop/api",
    "<tag-name>": "1.4.2",
}
SOURCES = (*scanguard_event_sources(), EventSourceSpec("acr", accepts_acr, parse_acr))


def groups(path: Path) -> list[dict[str, Any]]:
    document = json.loads(path.read_text())
    listed: list[dict[str, Any]] = document.get("value", [document])
    return listed


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: path.stem)
def test_every_container_group_is_understood(path: Path) -> None:
    for document in groups(path):
        found = deployment(parse_id(document["id"]), document, (), NOW)

        assert [(one.name, one.image, one.init) for one in found.containers] == [("demo1", "nginx", False)]
        assert (found.resource_group, found.location, str(found.platform)) == ("demo", "WestUs", "linux/amd64")
        if document["properties"]["imageRegistryCredentials"]:
            assert found.registries == {"azcloudconsoleregistry.azurecr.io": "as the user azcloudconsoleregistry"}


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_every_event_is_taken_skipped_or_refused(path: Path) -> None:
    parsed = parse_events(path.read_bytes(), SOURCES)

    count = len(json.loads(path.read_text()))
    assert len(parsed.events) + len(parsed.skipped) + len(parsed.rejected) == count
    assert not parsed.events, "their ids are placeholders"


def test_with_its_placeholders_filled_the_pushed_image_is_found() -> None:
    text = (DATA / "acr-events.json").read_text()
    for placeholder, value in FILLED.items():
        text = text.replace(placeholder, value)

    parsed = parse_events(text.encode(), SOURCES)

    digest = "sha256:213bbc182920ab41e18edc2001e06abcca6735d87782d9cef68abd83941cf0e5"
    assert [event.resource_id for event in parsed.events] == [f"image:acme.azurecr.io/shop/api@{digest}"]
    assert len(parsed.skipped) == 5, "deletions, charts, and the push to a connected registry"
    assert not parsed.rejected


def test_a_host_that_is_a_placeholder_is_refused() -> None:
    first = json.loads((DATA / "acr-events.json").read_text())[0]

    with pytest.raises(EventError, match="no login server of Azure"):
        parse_acr(first)


def test_odd_fields_lose_no_container() -> None:
    id_ = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups/g"
    odd: list[JsonValue] = [
        None,
        7,
        {},
        {"name": "a"},
        {"name": 1, "properties": {"image": "\ud800"}},
        {"properties": {"image": "b" * 9999}},
    ]
    document: dict[str, JsonValue] = {
        "id": id_,
        "tags": {"a": "\ud800", "b": 1, "c" * 600: "x"},
        "properties": {"containers": odd},
    }

    found = deployment(parse_id(id_), document, (), NOW)

    assert [one.image for one in found.containers] == ["", "", "", "", "?", ""]
    assert found.tags == {"a": "?"}
    assert found.platform is None
    assert found.model_dump_json()
