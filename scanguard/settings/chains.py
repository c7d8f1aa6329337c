"""Which chain applies to a deployment, and where each of its values came from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Literal

from scanguard.settings.schema import Chain, Match, NotifierUse, Policy, Scope, Settings
from scanguard.settings.source import Document, KeyPath

DEFAULT_CHAIN = "default"
DEFAULT_FRESHNESS = timedelta(hours=24)
DEFAULT_DEADLINE = timedelta(minutes=45)
BUILT_IN = "built-in default"


@dataclass(frozen=True, slots=True)
class Facts:
    """What scopes match on."""

    subscription: str = ""
    resource_group: str = ""
    kind: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A policy and the key path it stands at, which also finds its object."""

    policy: Policy
    path: KeyPath

    @property
    def key(self) -> str:
        """The key path as one text."""
        return ".".join(str(part) for part in self.path)


@dataclass(frozen=True)
class EffectiveChain:
    """What applies in the end; ``also`` are scanners that scopes added: they must look, whatever ``require`` says."""

    name: str
    why: tuple[str, ...]
    scanners: tuple[str, ...] = ()
    require: Literal["all", "any"] = "all"
    fallback: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    freshness: timedelta = DEFAULT_FRESHNESS
    deadline: timedelta = DEFAULT_DEADLINE
    policies: tuple[PolicyUse, ...] = ()
    sinks: tuple[str, ...] = ()
    notifiers: tuple[NotifierUse, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    """For each value, where it was written."""


def effective_chain(settings: Settings, document: Document, facts: Facts) -> EffectiveChain:
    """The chain of the first scope that matches and names one, plus what every matching scope adds."""
    name, why = _chosen(settings, document, facts)
    chain = chain_named(settings, document, name)
    chain = replace(chain, why=(*why, *chain.why))
    for index, scope in enumerate(settings.scopes):
        if scope.add is not None and _matches(scope.match, facts):
            chain = _with_additions(chain, scope, index, document)
    return chain


def lineage(settings: Settings, name: str) -> tuple[str, ...]:
    """A chain and those it extends, nearest first; stops at a cycle or an unknown name."""
    found: list[str] = []
    following: str | None = name
    while following is not None and following not in found and following in settings.chains:
        found.append(following)
        following = settings.chains[following].extends
    return tuple(found)


def _chosen(settings: Settings, document: Document, facts: Facts) -> tuple[str, tuple[str, ...]]:
    passed = 0
    for index, scope in enumerate(settings.scopes):
        if scope.chain is None:
            continue
        if _matches(scope.match, facts):
            before = f", after {passed} that did not match" if passed else ""
            place = document.place(("scopes", index))
            return scope.chain, (f"scope {index + 1} ({place}) matches and names the chain {scope.chain}{before}",)
        passed += 1
    reason = "no scope matches" if passed else "no scope names a chain"
    return DEFAULT_CHAIN, (f"{reason}, so the chain {DEFAULT_CHAIN} applies",)


def _matches(match: Match, facts: Facts) -> bool:
    given = (
        (match.subscription, facts.subscription),
        (match.resource_group, facts.resource_group),
        (match.kind, facts.kind),
    )
    if not all(not patterns or _any_glob(patterns, value) for patterns, value in given):
        return False
    tags = {name.lower(): value for name, value in facts.tags.items()}
    return all(name.lower() in tags and _any_glob(wanted, tags[name.lower()]) for name, wanted in match.tags.items())


def _any_glob(patterns: tuple[str, ...], value: str) -> bool:
    return any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns)


def chain_named(settings: Settings, document: Document, name: str) -> EffectiveChain:
    """A chain with what it inherits, and without any scope: the farthest ancestor first, each later one over it."""
    names = lineage(settings, name)
    why = tuple(f"{child} extends {parent}" for child, parent in itertools.pairwise(names))
    origins = dict.fromkeys(("scanners.require", "freshness", "deadline"), BUILT_IN)
    resolved = EffectiveChain(name=name, why=why, origins=origins)
    for one in reversed(names):
        resolved = _laid_over(resolved, settings.chains[one], ("chains", one), document)
    return resolved


def _laid_over(below: EffectiveChain, chain: Chain, path: KeyPath, document: Document) -> EffectiveChain:
    origins = dict(below.origins)

    def note(name: str, *keys: str) -> None:
        origins[name] = document.place((*path, *(keys or name.split("."))))

    scanners = below.scanners
    if chain.scanners.use is not None:
        scanners, origins = chain.scanners.use, {k: v for k, v in origins.items() if not k.startswith("scanners[")}
    new = tuple(name for name in (*scanners, *chain.scanners.add) if f"scanners[{name}]" not in origins)
    for name in new:
        note(f"scanners[{name}]", "scanners")
    if chain.scanners.require is not None:
        note("scanners.require")
    if chain.scanners.fallback is not None:
        note("scanners.fallback")
    if chain.scanners.trust is not None:
        note("scanners.trust")
    for key in ("freshness", "deadline"):
        if getattr(chain, key) is not None:
            note(key)
    own = policies_of(chain, path, document)
    inherited = () if chain.policies.use is not None else below.policies
    for use in own:
        origins[f"policies[{use.policy.plugin}]"] = document.place(use.path)
    sinks = (*(chain.sinks.use if chain.sinks.use is not None else below.sinks), *chain.sinks.add)
    notifiers = (*(chain.notifiers.use if chain.notifiers.use is not None else below.notifiers), *chain.notifiers.add)
    for kind, names in (("sinks", sinks), ("notifiers", tuple(n.use for n in notifiers))):
        for name in names:
            if f"{kind}[{name}]" not in origins:
                note(f"{kind}[{name}]", kind)
    return replace(
        below,
        scanners=tuple(dict.fromkeys((*scanners, *chain.scanners.add))),
        require=chain.scanners.require or below.require,
        fallback=below.fallback if chain.scanners.fallback is None else chain.scanners.fallback,
        trust=below.trust if chain.scanners.trust is None else chain.scanners.trust,
        freshness=chain.freshness or below.freshness,
        deadline=chain.deadline or below.deadline,
        policies=(*inherited, *own),
        sinks=tuple(dict.fromkeys(sinks)),
        notifiers=tuple(dict.fromkeys(notifiers)),
        origins=origins,
    )


def policies_of(chain: Chain, path: KeyPath, document: Document) -> tuple[PolicyUse, ...]:
    """A chain's own policies, each with the path it stands at; a plain list has no ``use`` in it."""
    here = (*path, "policies")
    list_at = (*here, "use") if (*here, "use") in document.places else here
    used = tuple(PolicyUse(policy, (*list_at, n)) for n, policy in enumerate(chain.policies.use or ()))
    added = tuple(PolicyUse(policy, (*here, "add", n)) for n, policy in enumerate(chain.policies.add))
    return used + added


def _with_additions(chain: EffectiveChain, scope: Scope, index: int, document: Document) -> EffectiveChain:
    """Only ever more: scanners that must look, policies that may judge worse, more sinks, more notices."""
    add = scope.add
    if add is None:
        return chain
    path: KeyPath = ("scopes", index, "add")
    place = document.place(path)
    known = {*chain.scanners, *chain.fallback, *chain.also}
    policies = tuple(PolicyUse(policy, (*path, "policies", n)) for n, policy in enumerate(add.policies))
    names = {
        "scanners": add.scanners,
        "policies": tuple(use.policy.plugin for use in policies),
        "sinks": add.sinks,
        "notifiers": tuple(use.use for use in add.notifiers),
    }
    said = "; ".join(f"{kind} {', '.join(some)}" for kind, some in names.items() if some)
    origins = {f"{kind}[{name}]": place for kind, some in names.items() for name in some}
    return replace(
        chain,
        why=(*chain.why, f"scope {index + 1} ({place}) matches and adds {said or 'nothing'}"),
        also=(*chain.also, *(name for name in dict.fromkeys(add.scanners) if name not in known)),
        policies=(*chain.policies, *policies),
        sinks=tuple(dict.fromkeys((*chain.sinks, *add.sinks))),
        notifiers=tuple(dict.fromkeys((*chain.notifiers, *add.notifiers))),
        origins={**origins, **chain.origins},
    )
