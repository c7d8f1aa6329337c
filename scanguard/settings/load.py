"""From files and environment to settings."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from scanguard.settings.chains import lineage
from scanguard.settings.problems import nearest, problem, refuse, validation_problems
from scanguard.settings.schema import Settings
from scanguard.settings.source import Document, KeyPath, merge, read_environment, read_file, read_text

FILE_NAME: Final = "scanguard.yaml"
VARIABLE: Final = "SCANGUARD_CONFIG"
DEFAULTS_NAME: Final = "built-in defaults"


@dataclass(frozen=True, slots=True)
class ConfigText:
    """A configuration that is at hand as text, and where it came from."""

    text: str
    name: str


@dataclass(frozen=True)
class Loaded:
    """Settings, the document they were read from, and the folder that relative paths start from."""

    settings: Settings
    document: Document
    folder: Path
    files: tuple[Path, ...]


def find_files(given: Sequence[Path] | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files to read: those given, else ``$SCANGUARD_CONFIG``, else ``scanguard.yaml`` here, else none."""
    if given:
        return tuple(given)
    listed = environ.get(VARIABLE, "")
    if listed:
        return tuple(Path(part) for part in listed.split(os.pathsep) if part)
    here = Path(FILE_NAME)
    return (here,) if here.is_file() else ()


def load_settings(given: Sequence[Path] | ConfigText | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read, merge and check the grammar; raises ConfigError with one line per problem.

    Without any file or text the built-in defaults apply. The environment lies over either.
    """
    environ = os.environ if environ is None else environ
    files: tuple[Path, ...] = ()
    if isinstance(given, ConfigText):
        documents = [read_text(given.text, given.name)]
    else:
        files = find_files(given, environ)
        documents = [read_file(path) for path in files] or [built_in()]
    document = merge([*documents, read_environment(environ)])
    folder = files[0].resolve().parent if files else Path.cwd()
    return Loaded(parse_settings(document), document, folder, files)


def built_in() -> Document:
    """The defaults that apply when there is no file."""
    return read_text(resources.files(__package__).joinpath("defaults.yaml").read_text("utf-8"), DEFAULTS_NAME)


def parse_settings(document: Document) -> Settings:
    """Check a document against the grammar, and its names against each other."""
    try:
        settings = Settings.model_validate(document.data)
    except ValidationError as exc:
        refuse(validation_problems(exc, document, Settings))
        raise
    refuse([*_unknown_chains(settings, document), *_unknown_instances(settings, document)])
    return settings


def _unknown_chains(settings: Settings, document: Document) -> list[str]:
    lines = []
    for name, chain in settings.chains.items():
        path: KeyPath = ("chains", name, "extends")
        if chain.extends is not None and chain.extends not in settings.chains:
            lines.append(problem(document, path, _unknown("chain", chain.extends, settings.chains)))
        ancestors = lineage(settings, name)
        last = settings.chains[ancestors[-1]].extends
        if last is not None and last in ancestors:
            lines.append(problem(document, path, f"these chains extend each other: {' → '.join((*ancestors, last))}"))
    for index, scope in enumerate(settings.scopes):
        if scope.chain is not None and scope.chain not in settings.chains:
            path = ("scopes", index, "chain")
            lines.append(problem(document, path, _unknown("chain", scope.chain, settings.chains)))
    return lines


def _unknown_instances(settings: Settings, document: Document) -> list[str]:
    named: list[tuple[KeyPath, str]] = []
    for name, chain in settings.chains.items():
        at: KeyPath = ("chains", name)
        scanners = chain.scanners
        for part in ("use", "add", "fallback", "trust"):
            named += [((*at, "scanners", part, n), one) for n, one in enumerate(getattr(scanners, part) or ())]
        named += [((*at, "sinks", n), one) for n, one in enumerate((*(chain.sinks.use or ()), *chain.sinks.add))]
        uses = (*(chain.notifiers.use or ()), *chain.notifiers.add)
        named += [((*at, "notifiers", n, "use"), one.use) for n, one in enumerate(uses)]
    for index, scope in enumerate(settings.scopes):
        if scope.add is not None:
            at = ("scopes", index, "add")
            named += [((*at, "scanners", n), one) for n, one in enumerate(scope.add.scanners)]
            named += [((*at, "sinks", n), one) for n, one in enumerate(scope.add.sinks)]
            named += [((*at, "notifiers", n, "use"), one.use) for n, one in enumerate(scope.add.notifiers)]
    known = {*settings.instances, *(f"{name}@{one}" for name, of in settings.instances.items() for one in of.profiles)}
    return [
        problem(document, path, _unknown("profile" if name.partition("@")[0] in known else "instance", name, known))
        for path, name in named
        if name not in known
    ]


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    listed = ", ".join(sorted(known)) or "none"
    return f"there is no {kind} {name!r}{nearest(name, known) or f' (there is: {listed})'}"
