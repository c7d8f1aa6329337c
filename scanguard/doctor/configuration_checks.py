"""Area ``configuration``: what was read, what applies, and everything that is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final

from scanguard.app.application import DATA_VARIABLE
from scanguard.doctor.check import Check, fail, ok, skipped, warn
from scanguard.doctor.situation import Situation
from scanguard.loader import BLOCKED_VARIABLE, LIST_VARIABLE
from scanguard.settings.chains import EffectiveChain, chain_named
from scanguard.settings.load import VARIABLE, Loaded
from scanguard.settings.schema import Settings
from scanguard.settings.source import ENVIRONMENT_PREFIX

AREA: Final = "configuration"
VARIABLES: Final = (VARIABLE, DATA_VARIABLE, LIST_VARIABLE, BLOCKED_VARIABLE, "SCANGUARD_LOG_FORMAT")
"""What scanguard reads of its own, beside ``SCANGUARD__…``."""
MOST_PROBLEMS: Final = 100
_BY_THEMSELVES: Final = ("platform", "sweep")
"""Kinds of instances that work without being named."""
_PLACE: Final = re.compile(r"(.{1,400}?:[0-9]+|environment variable \S+): (.+)", re.DOTALL)


def configuration_checks(situation: Situation) -> Iterator[Check]:
    """Files, variables, chains; one check for every problem."""
    environ = situation.question.options.environ
    if situation.reading is None:
        yield fail(
            AREA,
            "reading",
            situation.reading_trouble,
            "check that the folder of the configuration can be read (a network drive may hang), or name a file with "
            "--config",
        )
        return
    yield _files(situation)
    yield _variables(environ)
    yield from _near_misses(environ)
    yield from _problems(situation)
    if situation.loaded is not None and situation.is_whole:
        yield from chain_checks(situation.loaded)
        yield from _unused(situation)
    else:
        yield skipped(AREA, "chains", "not looked at: there are problems to solve first")


def _files(situation: Situation) -> Check:
    files = situation.reading.files if situation.reading else ()
    if not files:
        return ok(AREA, "files", "none, so the built-in defaults apply; `scanguard config init` writes one")
    return ok(AREA, "files", ", then ".join(str(path.absolute()) for path in files))


def _variables(environ: Mapping[str, str]) -> Check:
    used = sorted(name for name in environ if name in VARIABLES or name.startswith(ENVIRONMENT_PREFIX))
    return ok(AREA, "variables", ", ".join(used) or "none of scanguard's own is set")


def _near_misses(environ: Mapping[str, str]) -> Iterator[Check]:
    """Variables that nobody reads, and that look like one that is read."""
    for name in sorted(environ):
        if not name.startswith("SCANGUARD_") or name.startswith(ENVIRONMENT_PREFIX) or name in VARIABLES:
            continue
        if close := difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85):
            yield warn(AREA, name, f"scanguard reads no variable of this name; it does read {close[0]}", "rename it")


def _problems(situation: Situation) -> Iterator[Check]:
    for line in situation.problems[:MOST_PROBLEMS]:
        placed = _PLACE.fullmatch(line)
        subject, detail = (placed[1], placed[2]) if placed else ("problem", line)
        yield fail(AREA, subject, detail, "correct it there; `scanguard config check` checks again")
    if len(situation.problems) > MOST_PROBLEMS:
        more = len(situation.problems) - MOST_PROBLEMS
        yield fail(AREA, "more problems", f"{more} besides", "correct those above first")
    if situation.loaded is not None and situation.bound is None:
        yield skipped(AREA, "options", "not looked at: plugins could not be loaded")


def chain_checks(loaded: Loaded) -> Iterator[Check]:
    """Who looks, judges and is told, by chain."""
    for name in loaded.settings.chains:
        chain = chain_named(loaded.settings, loaded.document, name)
        subject, detail = f"chain {name}", _chain_words(chain)
        if chain.scanners:
            yield ok(AREA, subject, detail)
        elif not _is_only_extended(loaded.settings, name):
            remedy = f"name an instance under chains.{name}.scanners"
            yield warn(AREA, subject, f"nobody looks at images: every verdict is unknown ({detail})", remedy)


def _chain_words(chain: EffectiveChain) -> str:
    parts = {
        "scanners": (*chain.scanners, *chain.fallback),
        "policies": tuple(use.policy.plugin for use in chain.policies),
        "sinks": chain.sinks,
        "notifiers": tuple(notifier.use for notifier in chain.notifiers),
    }
    return "; ".join(f"{kind} {', '.join(names) or 'none'}" for kind, names in parts.items())


def _is_only_extended(settings: Settings, name: str) -> bool:
    """A chain that others start from and no scope names need not be complete."""
    named = {scope.chain for scope in settings.scopes}
    return name != "default" and name not in named


def _unused(situation: Situation) -> Iterator[Check]:
    loaded, bound = situation.loaded, situation.bound
    if loaded is None or bound is None:
        return
    named = set(used_instances(loaded))
    used = named | {name.partition("@")[0] for name in named}
    for name, instance in bound.instances.items():
        if name not in used and instance.specs.keys().isdisjoint(_BY_THEMSELVES):
            remedy = "name it in a chain or a scope, or remove it"
            yield warn(AREA, f"instance {name}", f"no chain and no scope uses it (plugin {instance.plugin})", remedy)


def used_instances(loaded: Loaded) -> Iterator[str]:
    """Every instance that a chain or a scope names."""
    for name in loaded.settings.chains:
        chain = chain_named(loaded.settings, loaded.document, name)
        yield from (*chain.scanners, *chain.fallback, *chain.sinks, *(notifier.use for notifier in chain.notifiers))
    for scope in loaded.settings.scopes:
        if scope.add is not None:
            yield from (*scope.add.scanners, *scope.add.sinks, *(notifier.use for notifier in scope.add.notifiers))
