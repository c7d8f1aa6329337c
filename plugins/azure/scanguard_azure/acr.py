"""Event source ``acr``: an image was pushed to a container registry of Azure.

Facts: https://learn.microsoft.com/en-us/azure/event-grid/event-schema-container-registry. A push to a connected
registry names no host that could be asked, and is skipped; so are charts, deletions, and what is no image manifest.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from scanguard.errors import EventError, InvalidReferenceError
from scanguard.model.deployment import Event
from scanguard.model.reading import read_event, shown
from scanguard.model.reference import ImageReference
from scanguard_azure.clouds import CLOUDS

_PUSHED: Final = frozenset({"microsoft.containerregistry.imagepushed", "imagepushed"})
_KIND: Final = re.compile(r"(microsoft\.containerregistry\.)?(image|chart)(pushed|deleted)", re.IGNORECASE)
_MANIFESTS: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    }
)
_SUFFIXES: Final = "|".join(sorted({re.escape(cloud.registry_suffix) for cloud in CLOUDS.values()}))
_LOGIN_SERVER: Final = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.(?:{_SUFFIXES})", re.IGNORECASE)

log = logging.getLogger("scanguard.plugin.acr")

_TELLING: Final = re.compile(r"[^./]*[./]")
"""A host or a path."""
Object = Mapping[str, JsonValue]


def accepts_acr(event: Object) -> bool:
    """Whether an object is an event of a container registry, as Event Grid or CloudEvents write it."""
    kind = event.get("eventType") or event.get("type")
    return isinstance(kind, str) and len(kind) < 100 and _KIND.fullmatch(kind) is not None


def parse_acr(event: Object) -> Event | None:
    """The push, as an event of the image that was pushed; None when nothing was, or nothing that can be scanned."""
    kind = event.get("eventType") or event.get("type")
    if not isinstance(kind, str):
        raise EventError("it does not say of which type it is")
    if kind.lower() not in _PUSHED:
        return None
    data = _object(event, "data")
    target = _object(data, "target")
    if (why := _not_wanted(data, target)) is not None:
        log.info("skipped: a push %s: event=%s", why, ascii(event.get("id"))[:100])
        return None
    return read_event(
        id=event.get("id"),
        source=event.get("topic") or event.get("source") or "",
        type=kind,
        operation="push",
        resource_id=f"image:{_image(data, target)}",
        time=event.get("eventTime") or event.get("time"),
    )


def _not_wanted(data: Object, target: Object) -> str | None:
    """Why this push cannot be scanned, or need not."""
    if "connectedregistry" in data and not _object(data, "request").get("host"):
        return "to a connected registry, which has no address here"
    media_type = target.get("mediaType")
    if isinstance(media_type, str) and media_type.lower() not in _MANIFESTS:
        return "of something that is no image"
    return None


def _image(data: Object, target: Object) -> str:
    """``HOST/REPO@sha256:…``, or with the tag when no digest is named. The host must be a registry of Azure."""
    host, repository = _object(data, "request").get("host"), target.get("repository")
    if not isinstance(host, str) or _LOGIN_SERVER.fullmatch(host) is None:
        raise EventError(f"its registry {shown(host, _TELLING)} is no login server of Azure, such as acme.azurecr.io")
    if not isinstance(repository, str) or not repository:
        raise EventError(f"its repository is {shown(repository, _TELLING)}")
    digest, tag = target.get("digest"), target.get("tag")
    suffix = f"@{digest}" if digest else f":{tag}" if tag else ""
    name = f"{host.lower()}/{repository}{suffix}"
    if not suffix:
        raise EventError("it names neither a digest nor a tag")
    try:
        ImageReference.parse(name)
    except InvalidReferenceError as exc:
        raise EventError(f"it names no image: {exc.message}") from exc
    return name


def _object(parent: Object, key: str) -> Object:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EventError(f"its {key} is not an object")
    return value
