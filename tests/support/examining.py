"""Asks the doctor, as a test needs it: a configuration as text, and what was said by area and subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from scanguard.app import AppOptions
from scanguard.doctor import AREAS, Check, Examination, Question, Status, examine
from scanguard.hooks import Catalog
from scanguard.loader import Candidate, Plugins, load_plugins

TROUBLE = (Status.WARN, Status.FAIL)


def built_ins(environ: Mapping[str, str]) -> Plugins:
    """The built-in plugins only, whatever is installed here."""
    return load_plugins(environ, installed=())


def with_records(**records: Mapping[str, object]) -> Callable[[Mapping[str, str]], Plugins]:
    """A loader of the built-ins and of these records, by catalogue field and name."""

    def load(environ: Mapping[str, str]) -> Plugins:
        plugins = built_ins(environ)
        fields = {field: {**getattr(plugins.catalog, field), **more} for field, more in records.items()}
        catalog: Catalog = replace(plugins.catalog, **fields)
        return replace(plugins, catalog=catalog)

    return load


def with_candidates(*candidates: Candidate) -> Callable[[Mapping[str, str]], Plugins]:
    """A loader of the built-ins and of these candidates."""
    return lambda environ: load_plugins(environ, installed=candidates)


async def examined(
    folder: Path,
    config: str | None = None,
    *,
    areas: Iterable[str] = AREAS,
    registries: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    data_dir: Path | None = None,
    timeout_s: float = 20.0,
    load: Callable[[Mapping[str, str]], Plugins] = built_ins,
) -> Examination:
    """The whole examination of a configuration written to ``folder``."""
    path = folder / "scanguard.yaml"
    if config is not None:
        path.write_text(config, encoding="utf-8")
    options = AppOptions(
        config=None if config is None else (path,), data_dir=data_dir or folder / "data", environ=environ or {}
    )
    return await examine(
        Question(options=options, registries=registries, areas=frozenset(areas), timeout_s=timeout_s, load=load)
    )


def of_area(examination: Examination, area: str) -> dict[str, Check]:
    """The checks of an area by subject."""
    return {check.subject: check for check in examination.checks if check.area == area}


def troubles(examination: Examination) -> list[Check]:
    """What warns or fails."""
    return [check for check in examination.checks if check.status in TROUBLE]
