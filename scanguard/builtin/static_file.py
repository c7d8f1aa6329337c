"""Reads a file of deployments; whatever is wrong is named with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from scanguard.builtin.yaml_lines import LocatedYaml, YamlError, parse_yaml
from scanguard.errors import PlatformError
from scanguard.model.deployment import Container, Deployment
from scanguard.model.image import Platform

MAX_FILE_BYTES: Final = 2 * 1024 * 1024
_LOCAL_SCHEMES: Final = ("oci:", "oci-archive:", "docker-archive:")


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Container(_Written):
    name: str = Field(min_length=1, max_length=253)
    image: str = Field(min_length=1, max_length=4096)
    init: bool = False


class _Entry(_Written):
    """A deployment as people write it: what its id tells may be left out."""

    resource_id: str = Field(min_length=1, max_length=2048)
    kind: str = "container_group"
    name: str = ""
    subscription: str = ""
    resource_group: str = ""
    location: str = ""
    tags: Mapping[str, str] = {}
    containers: tuple[_Container, ...] = Field(min_length=1, max_length=1000)
    platform: Platform | None = None

    @field_validator("platform", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return Platform.parse(value) if isinstance(value, str) else value

    def deployment(self, folder: Path, seen_at: datetime) -> Deployment:
        """The deployment; images in local files are looked for from ``folder``."""
        parts = self.resource_id.strip("/").split("/")
        known = {key.lower(): value for key, value in zip(parts[::2], parts[1::2], strict=False)}
        return Deployment(
            resource_id=self.resource_id,
            kind=self.kind,
            name=self.name or parts[-1] or self.resource_id,
            subscription=self.subscription or known.get("subscriptions", ""),
            resource_group=self.resource_group or known.get("resourcegroups", ""),
            location=self.location,
            tags=self.tags,
            containers=tuple(
                Container(name=one.name, image=absolute_locator(one.image, folder), init=one.init)
                for one in self.containers
            ),
            platform=self.platform,
            seen_at=seen_at,
        )


def read_deployments(path: Path, seen_at: datetime) -> Mapping[str, Deployment]:
    """Every deployment of a file, by its id in lower case.

    Args:
        path: A YAML or JSON file: a list of deployments, or an object that holds one under ``deployments``.
        seen_at: When this is.

    Errors:
        PlatformError names the file, the line and the key.
    """
    try:
        document = parse_yaml(_text(path), is_json=path.suffix.lower() == ".json")
    except YamlError as exc:
        raise _error(path, exc.line, exc.problem) from exc
    prefix: tuple[str, ...] = ()
    entries = document.value
    if isinstance(entries, dict) and set(entries) == {"deployments"}:
        prefix, entries = ("deployments",), entries["deployments"]
    if not isinstance(entries, list):
        raise _error(path, document.line(prefix), "write a list of deployments, or `deployments:` with such a list")
    return _by_id(path, document, prefix, entries, seen_at)


def _by_id(
    path: Path, document: LocatedYaml, prefix: tuple[str, ...], entries: Sequence[object], seen_at: datetime
) -> Mapping[str, Deployment]:
    folder = path.absolute().parent
    found: dict[str, Deployment] = {}
    for index, entry in enumerate(entries):
        try:
            deployment = _Entry.model_validate(entry).deployment(folder, seen_at)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            key = ".".join(map(str, (*prefix, index, *first["loc"])))
            line = document.line((*prefix, index, *first["loc"]))
            raise _error(path, line, f"{key}: {first['msg']}") from exc
        if found.setdefault(deployment.resource_id.lower(), deployment) is not deployment:
            raise _error(path, document.line((*prefix, index)), f"{deployment.resource_id} is described twice")
    return found


def absolute_locator(image: str, folder: Path) -> str:
    """A local image's locator with its path made absolute from ``folder``; any other name as it is."""
    for scheme in _LOCAL_SCHEMES:
        if image.startswith(scheme):
            return f"{scheme}{folder / image.removeprefix(scheme)}"
    return image


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no path"
        raise PlatformError(f"cannot read {path}: {why}", target=str(path)) from exc
    if len(data) > MAX_FILE_BYTES:
        raise PlatformError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes", target=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _error(path, data.count(b"\n", 0, exc.start) + 1, "it is not UTF-8 text") from exc


def _error(path: Path, line: int, problem: str) -> PlatformError:
    return PlatformError(f"{path}, line {line}: {problem}", target=str(path))
