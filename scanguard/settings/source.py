"""Configuration as it is written: YAML files and environment variables, every value with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from scanguard.errors import ConfigError

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 50
MAX_NODES: Final = 50_000
"""Values of one file, every use of an alias counted: a bomb of aliases ends here."""
ENVIRONMENT_PREFIX: Final = "SCANGUARD__"
_SAFE_TAGS: Final = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
}

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data, and where each key path stands (``FILE:LINE`` or the name of a variable)."""

    data: Mapping[str, Any]
    places: Mapping[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Where a key path stands, or its nearest ancestor that stands anywhere."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return "configuration"


def read_file(path: Path) -> Document:
    """Read one YAML file; raises ConfigError with file and line."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}", target=str(path)) from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES // 1024} KiB", target=str(path))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text (byte {exc.start})", target=str(path)) from exc
    return read_text(text, str(path))


def read_text(text: str, name: str) -> Document:
    """Read YAML text; ``name`` stands for the file in places and errors."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise ConfigError(f"{place}: this is not YAML: {exc.problem or exc.context}", target=name) from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise ConfigError(f"{name}: this is not YAML: {' '.join(str(exc).split())[:200]}", target=name) from exc
    if root is None:
        return Document({}, {(): name})
    reader = _Reader(name)
    data = reader.value(root, ())
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: a configuration is a mapping of keys to values", target=name)
    return Document(data, reader.places)


class _Reader:
    """Turns YAML nodes into plain data and notes their places."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes = 0
        self._constructor = yaml.constructor.SafeConstructor()
        self.places: dict[KeyPath, str] = {(): name}

    def value(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401  # any YAML value
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(node, f"more than {MAX_NODES} values")
        if len(path) > MAX_DEPTH:
            raise self._error(node, f"nested deeper than {MAX_DEPTH} levels")
        self.places.setdefault(path, f"{self._name}:{node.start_mark.line + 1}")
        if node.tag not in _SAFE_TAGS:
            raise self._error(node, f"values of the type {node.tag!r} are not read")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str) or key_node.tag == "tag:yaml.org,2002:merge":
                raise self._error(key_node, "a key is plain text")
            if key in found:
                raise self._error(key_node, f"the key {key!r} stands twice in this mapping")
            self.places[(*path, key)] = f"{self._name}:{key_node.start_mark.line + 1}"
            found[key] = self.value(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node) -> Any:  # noqa: ANN401  # any YAML scalar
        if node.tag.endswith(":timestamp"):
            return node.value
        try:
            return self._constructor.construct_object(node)
        except (ValueError, yaml.YAMLError) as exc:
            raise self._error(node, "this value cannot be read") from exc

    def _error(self, node: yaml.Node, what: str) -> ConfigError:
        return ConfigError(f"{self._name}:{node.start_mark.line + 1}: {what}", target=self._name)


def merge(documents: Sequence[Document]) -> Document:
    """Later documents over earlier ones: mappings key by key, anything else (lists too) replaced whole."""
    data: dict[str, Any] = {}
    places: dict[KeyPath, str] = {}
    for document in documents:
        _lay_over(data, document.data, (), places, document)
    return Document(data, places)


def _lay_over(
    below: dict[str, Any], above: Mapping[str, Any], path: KeyPath, places: dict[KeyPath, str], source: Document
) -> None:
    for key, value in above.items():
        here = (*path, key)
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _lay_over(below[key], value, here, places, source)
            continue
        for old in [place for place in places if place[: len(here)] == here]:
            del places[old]
        places.update({place: where for place, where in source.places.items() if place[: len(here)] == here})
        below[key] = _copied(value)
    places.setdefault((), source.place(()))


def _copied(value: Any) -> Any:  # noqa: ANN401  # any YAML value
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def read_environment(environ: Mapping[str, str]) -> Document:
    """``SCANGUARD__instances__trivy__server=…`` sets ``instances.trivy.server``; values are read as YAML."""
    data: dict[str, Any] = {}
    places: dict[KeyPath, str] = {}
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        path = tuple(re.split("__", name.removeprefix(ENVIRONMENT_PREFIX)))
        if not all(path) or len(path) > MAX_DEPTH:
            raise ConfigError(f"environment variable {name}: write SCANGUARD__section__key", target=name)
        inner = data
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"environment variable {name}: another variable sets a part of it", target=name)
        inner[path[-1]] = _environment_value(name, environ[name])
        places[path] = f"environment variable {name}"
    return Document(data, places)


def _environment_value(name: str, text: str) -> Any:  # noqa: ANN401  # any YAML value
    place = f"environment variable {name}"
    return read_text("value: " + text, place).data["value"] if text.strip() else text
