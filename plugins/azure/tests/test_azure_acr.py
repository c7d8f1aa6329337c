"""Event source `acr`: what is pushed to a registry of Azure can be scanned before it runs."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
from pydantic import JsonValue
from scanguard_azure.acr import accepts_acr, parse_acr

from scanguard.builtin.image import owns_image
from scanguard.errors import EventError
from scanguard.testing.contracts import CANARY, EventSourceContract

DIGEST = f"sha256:{'ab' * 32}"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def pushed(**target: Any) -> dict[str, Any]:
    """A push, in the Event Grid schema."""
    wanted = {"mediaType": OCI_INDEX, "size": 1, "digest": DIGEST, "repository": "shop/api", "tag": "1.4.2", **target}
    return {
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "topic": "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/acme",
        "subject": "shop/api:1.4.2",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": "2026-03-01T21:39:47.6549614Z",
        "data": {
            "id": "31c51664-e5bd-416a-a5df-e5206bc47ed0",
            "timestamp": "2026-03-01T21:39:47.276585742Z",
            "action": "push",
            "target": {name: value for name, value in wanted.items() if value is not None},
            "request": {"id": "7c66f28b", "host": "acme.azurecr.io", "method": "PUT", "useragent": CANARY},
            "actor": {"name": CANARY},
        },
        "dataVersion": "2.0",
        "metadataVersion": "1",
    }


def as_cloudevent(event: dict[str, Any]) -> dict[str, Any]:
    """The same, as a CloudEvent."""
    head = {"specversion": "1.0", "id": event["id"], "source": event["topic"], "type": event["eventType"]}
    return {**head, "subject": event["subject"], "time": event["eventTime"], "data": event["data"]}


class TestAcrContract(EventSourceContract):
    plugin = "scanguard_azure.plugin"
    name = "acr"

    @pytest.fixture
    def event(self) -> dict[str, JsonValue]:
        return pushed()

    @pytest.fixture
    def other(self) -> dict[str, JsonValue]:
        return {**pushed(), "eventType": "Microsoft.ContainerRegistry.ImageDeleted"}


@pytest.mark.parametrize("form", [pushed, lambda: as_cloudevent(pushed())])
@pytest.mark.parametrize("kind", ["Microsoft.ContainerRegistry.ImagePushed", "ImagePushed", "imagepushed"])
def test_a_push_is_an_event_of_the_image_by_its_digest(form: Any, kind: str) -> None:
    event = form()
    event["eventType" if "eventType" in event else "type"] = kind

    assert accepts_acr(event)
    parsed = parse_acr(event)

    assert parsed is not None
    assert parsed.resource_id == f"image:acme.azurecr.io/shop/api@{DIGEST}"
    assert owns_image(parsed.resource_id), "the platform of images describes it"
    assert parsed.actor is None


def test_without_a_digest_the_tag_counts() -> None:
    parsed = parse_acr(pushed(digest=None))

    assert parsed is not None
    assert parsed.resource_id == "image:acme.azurecr.io/shop/api:1.4.2"


def test_a_manifest_of_one_platform_has_no_tag_and_is_taken() -> None:
    assert parse_acr(pushed(tag=None, mediaType="application/vnd.oci.image.manifest.v1+json")) is not None


def test_a_push_to_a_connected_registry_is_skipped_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    event = pushed()
    del event["data"]["request"]
    event["data"]["connectedregistry"] = {"name": "edge"}

    with caplog.at_level(logging.INFO):
        assert parse_acr(event) is None
    assert "connected registry" in caplog.text


@pytest.mark.parametrize("media_type", ["application/vnd.acr.helm.chart", "application/vnd.cncf.helm.config.v1+json"])
def test_what_is_no_image_is_skipped(media_type: str) -> None:
    assert parse_acr(pushed(mediaType=media_type)) is None


HOSTS = [
    None,
    "",
    17,
    "acme.azurecr.io.evil.example",
    "evil.example/acme.azurecr.io",
    "acme.azurecr.io:444",
    "acme.azurecr.io@evil.example",
    "user@acme.azurecr.io",
    "127.0.0.1",
    "169.254.169.254",
    "acme.azurecr.io\n",
    "acme.azurecr.io/..",
    "azurecr.io",
    "a.b.azurecr.io",
    "acme。azurecr.io",
]


@pytest.mark.parametrize("host", HOSTS, ids=range(len(HOSTS)))
def test_a_host_that_is_no_registry_of_azure_is_refused(host: Any) -> None:
    event = pushed()
    event["data"]["request"]["host"] = host

    with pytest.raises(EventError, match="no login server"):
        parse_acr(event)


@pytest.mark.parametrize("host", ["acme.azurecr.io", "ACME.azurecr.io", "acme-a1b2.azurecr.us", "acme.azurecr.cn"])
def test_registries_of_every_cloud_are_known(host: str) -> None:
    event = pushed()
    event["data"]["request"]["host"] = host

    parsed = parse_acr(event)

    assert parsed is not None
    assert parsed.resource_id.startswith(f"image:{host.lower()}/")


@pytest.mark.parametrize(
    "target",
    [
        {"repository": None},
        {"repository": "../etc"},
        {"repository": "shop/api?x=1"},
        {"repository": "Shop/API"},
        {"repository": "x" * 2000},
        {"digest": "sha256:short"},
        {"digest": ["sha256"]},
        {"digest": None, "tag": None},
        {"digest": None, "tag": "../x"},
        {"digest": None, "tag": {"a": 1}},
    ],
    ids=range(10),
)
def test_what_names_no_image_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        parse_acr(pushed(**target))


def test_other_events_are_not_its_own() -> None:
    written = {**pushed(), "eventType": "Microsoft.Resources.ResourceWriteSuccess"}
    assert not accepts_acr(written)
    assert not accepts_acr({"type": "com.example"})


def test_one_push_delivered_twice_is_one_event() -> None:
    assert parse_acr(pushed()) == parse_acr(copy.deepcopy(pushed()))
