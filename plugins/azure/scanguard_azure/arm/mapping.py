"""From what Resource Manager says to a deployment. Pure: any JSON object gives one, or PlatformError.

A container group nests each container's fields under ``properties``; apps and jobs do not. What a container's image
is stays as it is written; one that has none, or no text, keeps an empty name, which the engine reports as unreadable:
no container is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from scanguard.errors import PlatformError
from scanguard.model.deployment import Container, Deployment
from scanguard.model.image import Platform
from scanguard_azure.arm.ids import Kind, ResourceId

MAX_CONTAINERS: Final = 500
"""A group may have 60; an app as many as its active revisions hold."""
MAX_IMAGE: Final = 2048
_MAX_TAGS: Final = 64
_MAX_REGISTRIES: Final = 64
_MAX_TEXT: Final = 256
_DOCKER_HUB: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})

Object = Mapping[str, JsonValue]


def deployment(
    resource: ResourceId, document: Object, more: Sequence[tuple[str, Object]], seen_at: datetime
) -> Deployment:
    """The deployment.

    Args:
        resource: What was asked for; an answer about another resource is refused.
        document: The resource.
        more: Name and template of each active revision, or of each running execution.
        seen_at: When it was read.
    """
    if not resource.is_same(document.get("id")):
        raise PlatformError(f"the answer for {resource.text} is about another resource", target=resource.text)
    properties = _object(document.get("properties"))
    containers = _containers(resource, properties, more)
    return Deployment(
        resource_id=resource.text,
        kind=resource.kind.value,
        name=resource.name,
        subscription=resource.subscription,
        resource_group=resource.resource_group,
        location=_text(document.get("location")),
        tags=_tags(document.get("tags")),
        containers=containers,
        platform=_platform(resource.kind, properties),
        registries=_registries(resource.kind, properties),
        seen_at=seen_at,
    )


def _containers(resource: ResourceId, properties: Object, more: Sequence[tuple[str, Object]]) -> tuple[Container, ...]:
    is_group = resource.kind is Kind.CONTAINER_GROUP
    latest = properties if is_group else _object(properties.get("template"))
    found = list(_of_template(latest, nested=is_group))
    seen, names = {_key(one) for one in found}, {one.name for one in found}
    for source, template in more:
        for one in _of_template(template, nested=False):
            if _key(one) not in seen and len(found) <= MAX_CONTAINERS:
                seen.add(_key(one))
                found.append(one.model_copy(update={"name": f"{one.name}@{source}"}) if one.name in names else one)
    if not found:
        raise PlatformError(f"{resource.text} shows no containers yet, or none that can be read", target=resource.text)
    if len(found) > MAX_CONTAINERS:
        raise PlatformError(f"{resource.text} has more than {MAX_CONTAINERS} containers", target=resource.text)
    return tuple(found)


def _of_template(template: Object, *, nested: bool) -> Iterator[Container]:
    for key, is_init in (("initContainers", True), ("containers", False)):
        for number, item in enumerate(_list(template.get(key))):
            container = _object(item)
            fields = _object(container.get("properties")) if nested else container
            name = _text(container.get("name")) or f"{key}[{number}]"
            yield Container(name=name, image=_image(fields.get("image")), init=is_init)


def _key(container: Container) -> tuple[str, str, bool]:
    """What makes two containers of different revisions the same."""
    return container.name, container.image, container.init


def _image(value: JsonValue) -> str:
    return _utf8(value) if isinstance(value, str) and len(value) <= MAX_IMAGE else ""


def _platform(kind: Kind, properties: Object) -> Platform | None:
    """Apps and jobs run on Linux; a group says what it runs on. Both know amd64 only."""
    system = properties.get("osType") if kind is Kind.CONTAINER_GROUP else "Linux"
    match system.lower() if isinstance(system, str) else "":
        case "linux":
            return Platform()
        case "windows":
            return Platform(os="windows")
        case _:
            return None


def _tags(value: JsonValue) -> Mapping[str, str]:
    """Azure allows 50 tags of 512 and 256 characters; what is longer is none of its."""
    pairs = [
        (_utf8(name), _utf8(text))
        for name, text in _object(value).items()
        if isinstance(text, str) and len(name) <= 512 and len(text) <= 256
    ]
    return dict(sorted(pairs)[:_MAX_TAGS])


def _registries(kind: Kind, properties: Object) -> Mapping[str, str]:
    """Hosts that the workload logs in to, and as whom. Azure never shows the secret."""
    if kind is Kind.CONTAINER_GROUP:
        entries = _list(properties.get("imageRegistryCredentials"))
    else:
        entries = _list(_object(properties.get("configuration")).get("registries"))
    known: dict[str, str] = {}
    for item in entries[:_MAX_REGISTRIES]:
        entry = _object(item)
        host = _text(entry.get("server")).lower().removeprefix("https://").rstrip("/")
        if host:
            known["docker.io" if host in _DOCKER_HUB else host] = _as_whom(entry)
    return known


def _as_whom(entry: Object) -> str:
    if identity := _text(entry.get("identity")):
        return f"with the managed identity {identity.rpartition('/')[2]}"
    user, secret = _text(entry.get("username")), _text(entry.get("passwordSecretRef"))
    said = f"as the user {user}" if user else "with a login"
    return f"{said}, password in its secret {secret}" if secret else said


def _utf8(value: str) -> str:
    """JSON can hold halves of characters, which nothing can store."""
    return value.encode(errors="replace").decode()


def _text(value: JsonValue) -> str:
    """A text that is fit to show: one line, bounded."""
    text = value[: 4 * _MAX_TEXT] if isinstance(value, str) else ""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_MAX_TEXT]


def _object(value: JsonValue) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
