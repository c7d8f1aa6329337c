"""Reads as much of a configuration as can be used, and says everything that is wrong with the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scanguard.app import AppOptions
from scanguard.errors import ConfigError, PluginError, ScanguardError
from scanguard.loader import Plugins
from scanguard.settings.bind import Bound, BoundBackend, BoundInstance, bind
from scanguard.settings.load import Loaded, built_in, find_files, parse_settings
from scanguard.settings.schema import Instance, Settings
from scanguard.settings.source import Document, merge, read_environment, read_file


@dataclass(frozen=True)
class Reading:
    """What came of reading; ``loaded`` holds the good parts, and is None when there is none."""

    files: tuple[Path, ...]
    loaded: Loaded | None
    problems: tuple[str, ...] = ()


def read_what_can_be(options: AppOptions) -> Reading:
    """Read files and environment as a start would, but go on after a problem."""
    files = find_files(options.config, options.environ)
    problems: list[str] = []
    documents = []
    for path in files:
        try:
            documents.append(read_file(path))
        except ConfigError as exc:
            problems += _lines(exc)
    are_all_read = not problems
    if not files:
        documents.append(built_in())
    try:
        documents.append(read_environment(options.environ))
    except ConfigError as exc:
        problems += _lines(exc)
    if not are_all_read and not any(document.data for document in documents):
        return Reading(files, None, tuple(problems))
    document = merge(documents)
    folder = files[0].absolute().parent if files else Path.cwd()
    try:
        settings = parse_settings(document)
    except ConfigError as exc:
        settings = _good_parts(document)
        # What a file that could not be read holds is missed elsewhere, which is no problem of its own.
        problems += _lines(exc) if are_all_read else []
    return Reading(files, Loaded(settings, document, folder, files), tuple(problems))


def bind_what_can_be(loaded: Loaded, plugins: Plugins) -> tuple[Bound, tuple[str, ...]]:
    """Bind everything; failing that, each instance by itself, and say what is wrong with the others."""
    try:
        return bind(loaded, plugins.catalog, plugins.problem), ()
    except (ConfigError, PluginError) as exc:
        problems = _lines(exc)
    except Exception as exc:  # a plugin's own model raised something of its own
        problems = [f"checking the options of an instance or a policy raised {type(exc).__name__}"]
    instances: dict[str, BoundInstance] = {}
    for name, instance in loaded.settings.instances.items():
        alone = replace(loaded, settings=_settings_of(instances={name: instance}))
        try:
            instances.update(bind(alone, plugins.catalog, plugins.problem).instances)
        except Exception:  # noqa: S112  # told above; the others are still of use
            continue
    return Bound(loaded, instances, {}, _backend_of(loaded, plugins)), tuple(problems)


def _backend_of(loaded: Loaded, plugins: Plugins) -> BoundBackend | None:
    alone = replace(loaded, settings=_settings_of(backend=loaded.settings.backend))
    try:
        return bind(alone, plugins.catalog, plugins.problem).backend
    except Exception:  # told with everything else that is wrong
        return None


def _good_parts(document: Document) -> Settings:
    """Sections that are good by themselves; chains are left out, for they mean nothing without the rest."""
    sections: dict[str, Any] = {}
    for name in ("registries", "engine", "server", "backend"):
        if name in document.data and _is_valid({name: document.data[name]}):
            sections[name] = document.data[name]
    return _settings_of(**sections, instances=dict(_good_instances(document.data.get("instances"))))


def _good_instances(raw: object) -> Iterator[tuple[str, Instance]]:
    for name, value in raw.items() if isinstance(raw, Mapping) else ():
        if _is_valid({"instances": {name: value}}):
            yield str(name), Instance.model_validate(value)


def _is_valid(sections: Mapping[str, Any]) -> bool:
    try:
        _settings_of(**sections)
    except ValidationError:
        return False
    return True


def _settings_of(**sections: Any) -> Settings:  # noqa: ANN401  # as written in a file
    return Settings.model_validate({"version": 1, "chains": {"default": {}}, **sections})


def _lines(exc: ScanguardError) -> list[str]:
    return list(exc.problems) if isinstance(exc, ConfigError) and exc.problems else [exc.message]
