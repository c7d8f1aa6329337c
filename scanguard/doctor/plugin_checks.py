"""Area ``plugins``: what is loaded, what is not and why, what the configuration misses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata
from typing import Final

from scanguard.doctor.check import Check, fail, ok, skipped, warn
from scanguard.doctor.situation import Situation
from scanguard.errors import PluginConflictError
from scanguard.loader import BLOCKED_VARIABLE, PluginInfo, Plugins
from scanguard.settings.bind import KINDS
from scanguard.settings.problems import nearest

AREA: Final = "plugins"
SLOW_IMPORT_S: Final = 2.0


def plugin_checks(situation: Situation) -> Iterator[Check]:
    """One check a plugin, one a name that is configured and not there."""
    plugins = situation.plugins
    if plugins is None:
        yield fail(
            AREA,
            "loading",
            situation.plugin_trouble,
            f"find the plugin by running `scanguard plugins`; block one at a time with {BLOCKED_VARIABLE}=NAME",
        )
        return
    wanted = configured_names(situation)
    for info in plugins.plugins:
        yield _plugin(info, info.name in wanted)
    for (kind, name), claimed_by in plugins.conflicts.items():
        both = " and ".join(claimed_by)
        say = fail if kind in wanted.get(name, ()) else warn
        remedy = f"uninstall one of them, or block it with {BLOCKED_VARIABLE}=NAME"
        yield say(AREA, f"{kind} {name}", f"{both} both offer it, so nobody has it", remedy)
    for name, kinds in wanted.items():
        yield from _missing(plugins, name, kinds)


def configured_names(situation: Situation) -> Mapping[str, frozenset[str]]:
    """Plugins that the configuration names, and the kinds that would do."""
    found: dict[str, set[str]] = defaultdict(set)
    if situation.loaded is not None:
        settings = situation.loaded.settings
        for instance in settings.instances.values():
            found[instance.plugin].update(KINDS)
        if settings.backend is not None:
            found[settings.backend.plugin].add("backend")
        added = [scope.add.policies for scope in settings.scopes if scope.add]
        used = [(*(chain.policies.use or ()), *chain.policies.add) for chain in settings.chains.values()]
        for policies in (*used, *added):
            for policy in policies:
                found[policy.plugin].add("policy")
    return {name: frozenset(kinds) for name, kinds in found.items()}


def _plugin(info: PluginInfo, is_wanted: bool) -> Check:
    origin = " ".join(part for part in (info.version, f"from {info.distribution}" if info.distribution else "") if part)
    if info.status == "blocked" and not is_wanted:
        return skipped(AREA, info.name, f"blocked: {info.error}")
    if info.error:
        say = fail if is_wanted else warn
        remedy = (
            f"take it out of {BLOCKED_VARIABLE}, or out of the configuration"
            if info.status == "blocked"
            else f"upgrade or reinstall {info.distribution or info.module}, or block it with "
            f"{BLOCKED_VARIABLE}={info.name}"
        )
        return say(AREA, info.name, f"{info.status}{f' ({origin})' if origin else ''}: {info.error}", remedy)
    offers = _offers(info)
    if info.import_s > SLOW_IMPORT_S:
        detail = f"{origin}: {offers}; importing it took {info.import_s:.1f} s, which every command pays"
        return warn(
            AREA, info.name, detail, "tell those who maintain it: a plugin imports its libraries when it is used"
        )
    return ok(AREA, info.name, f"{origin}: {offers}" if origin else offers)


def _offers(info: PluginInfo) -> str:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, name in info.records:
        by_kind[kind].append(name)
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in by_kind.items()) or "offers nothing"


def _missing(plugins: Plugins, name: str, kinds: frozenset[str]) -> Iterator[Check]:
    problem = plugins.problem(name, sorted(kinds))
    if problem is None or isinstance(problem, PluginConflictError) or any(one.name == name for one in plugins.plugins):
        return  # there, or told above
    known = {record for info in plugins.plugins for _, record in info.records}
    hint = nearest(name, known)
    remedy = (
        f'pip install "scanguard[{name}]"'
        if name in extras()
        else f"correct the name{hint}"
        if hint
        else "install the distribution that offers it, or correct the name"
    )
    kind = " or ".join(sorted(kinds))
    yield fail(AREA, name, f"configured, but no installed plugin offers a {kind} of this name", remedy)


def extras() -> frozenset[str]:
    """The extras that the installed scanguard knows."""
    try:
        return frozenset(metadata("scanguard").get_all("Provides-Extra") or ())
    except PackageNotFoundError:
        return frozenset()
