"""Settings meet plugins: every option is checked by the plugin it belongs to, before any work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from scanguard.errors import PluginError
from scanguard.hooks import BackendSpec, Catalog, PluginConfig, ScannerSpec
from scanguard.model.rate import Rate
from scanguard.settings.chains import PolicyUse, policies_of
from scanguard.settings.load import Loaded
from scanguard.settings.problems import problem, refuse, validation_problems
from scanguard.settings.schema import BackendChoice, Instance, Policy, Settings
from scanguard.settings.source import Document, KeyPath

SINGLE_KINDS: Final = {"secret store": "secret_stores", "registry credentials": "registry_credentials"}
"""Kinds that chains do not name: they are found by the plugin's name, so one instance at most says how."""
KINDS: Final = {
    "scanner": "scanners",
    "sink": "sinks",
    "notifier": "notifiers",
    "platform": "platforms",
    "sweep": "sweeps",
    **SINGLE_KINDS,
}
"""Kinds an instance can be of, and where the catalogue has them."""

_SUITABLE: Final = {"quota": ("scanner", "platform", "sweep"), "profiles": ("scanner",)}
"""Kinds that have some of the keys that every instance may have."""

FindProblem = Callable[[str, tuple[str, ...]], PluginError | None]
"""Why no loaded plugin of these kinds has this name; None when one does."""


@dataclass(frozen=True, slots=True)
class BoundInstance:
    """An instance whose options its plugin accepts; ``specs`` has its plugin's record for each kind it is of."""

    name: str
    plugin: str
    config: PluginConfig
    specs: Mapping[str, Any]
    fingerprint: str
    """Hex; depends on the options that change a scan's result."""
    rates: tuple[Rate, ...] = ()
    """The quota that the configuration gives it; empty leaves it to the plugin."""


@dataclass(frozen=True, slots=True)
class BoundBackend:
    """The backend that the configuration chooses, with options that its plugin accepts."""

    spec: BackendSpec
    config: PluginConfig


@dataclass(frozen=True)
class Bound:
    """Settings whose every instance and policy is accepted by its plugin."""

    loaded: Loaded
    instances: Mapping[str, BoundInstance]
    policies: Mapping[str, PluginConfig]
    """By :attr:`~scanguard.settings.chains.PolicyUse.key`."""
    backend: BoundBackend | None = None
    """None is the embedded one, in the data folder."""

    @property
    def settings(self) -> Settings:
        """The settings as they are written."""
        return self.loaded.settings

    def single(self, kind: str, plugin: str) -> BoundInstance | None:
        """The instance of a plugin that chains do not name; None when the configuration has none."""
        mine = (one for one in self.instances.values() if one.plugin == plugin and kind in one.specs)
        return next(mine, None)


def bind(loaded: Loaded, catalog: Catalog, find_problem: FindProblem) -> Bound:
    """Check every option; raises ConfigError with all problems, or the PluginError when that is the only one."""
    binder = _Binder(loaded.document, catalog, find_problem)
    settings = loaded.settings
    for name, instance in settings.instances.items():
        binder.instance(name, instance)
    for use in policy_uses(settings, loaded.document):
        binder.policy(use)
    binder.check_uses(settings)
    backend = binder.backend(settings.backend)
    if len(binder.problems) == 1 and binder.plugin_error is not None:
        raise binder.plugin_error
    refuse(binder.problems)
    return Bound(loaded, binder.instances, binder.policies, backend)


def policy_uses(settings: Settings, document: Document) -> list[PolicyUse]:
    """Every policy of every chain and scope, with its path."""
    uses = [use for name, chain in settings.chains.items() for use in policies_of(chain, ("chains", name), document)]
    for index, scope in enumerate(settings.scopes):
        policies: tuple[Policy, ...] = scope.add.policies if scope.add else ()
        uses += [PolicyUse(policy, ("scopes", index, "add", "policies", n)) for n, policy in enumerate(policies)]
    return uses


class _Binder:
    def __init__(self, document: Document, catalog: Catalog, find_problem: FindProblem) -> None:
        self._document = document
        self._catalog = catalog
        self._find_problem = find_problem
        self.problems: list[str] = []
        self.plugin_error: PluginError | None = None
        self.instances: dict[str, BoundInstance] = {}
        self.policies: dict[str, PluginConfig] = {}

    def instance(self, name: str, instance: Instance) -> None:
        path: KeyPath = ("instances", name)
        specs = {
            kind: getattr(self._catalog, field)[instance.plugin]
            for kind, field in KINDS.items()
            if instance.plugin in getattr(self._catalog, field)
        }
        if not specs:
            self._missing(instance.plugin, tuple(KINDS), path)
            return
        if not specs.keys().isdisjoint(SINGLE_KINDS):
            other = next((one.name for one in self.instances.values() if one.plugin == instance.plugin), None)
            if other is not None:
                what = f"{instance.plugin} has one instance at most, and {other!r} is one"
                self.problems.append(problem(self._document, path, what))
        for key, kinds in _SUITABLE.items():
            if getattr(instance, key) and specs.keys().isdisjoint(kinds):
                whose = " and ".join(f"{kind}s" for kind in kinds)
                what = f"only {whose} have {key}, and {instance.plugin} is none"
                self.problems.append(problem(self._document, (*path, key), what))
        self._bind(name, instance, specs, instance.options, path)
        for profile, options in instance.profiles.items():
            laid_over = {**instance.options, **options}
            self._bind(f"{name}@{profile}", instance, specs, laid_over, (*path, "profiles", profile))

    def _bind(
        self, name: str, instance: Instance, specs: Mapping[str, Any], options: Mapping[str, Any], path: KeyPath
    ) -> None:
        config = self._validated(next(iter(specs.values())).config, options, path)
        if config is None:
            return
        scanner: ScannerSpec | None = specs.get("scanner")
        if scanner is not None:
            specs = {**specs, "scanner": scanner.refined(config)}
        print_ = fingerprint(scanner, config)
        self.instances[name] = BoundInstance(name, instance.plugin, config, specs, print_, instance.quota)

    def policy(self, use: PolicyUse) -> None:
        spec = self._catalog.policies.get(use.policy.plugin)
        if spec is None:
            self._missing(use.policy.plugin, ("policy",), use.path)
            return
        config = self._validated(spec.config, use.policy.options, use.path)
        if config is not None:
            self.policies[use.key] = config

    def backend(self, choice: BackendChoice | None) -> BoundBackend | None:
        if choice is None:
            return None
        spec = self._catalog.backends.get(choice.plugin)
        if spec is None:
            self._missing(choice.plugin, ("backend",), ("backend",))
            return None
        config = self._validated(spec.config, choice.options, ("backend",))
        return BoundBackend(spec, config) if config is not None else None

    def check_uses(self, settings: Settings) -> None:
        """An instance is used as what its plugin is."""
        for name, chain in settings.chains.items():
            scanners = chain.scanners
            listed = (*(scanners.use or ()), *scanners.add, *(scanners.fallback or ()), *(scanners.trust or ()))
            self._check_kind(listed, "scanner", ("chains", name, "scanners"))
            self._check_kind((*(chain.sinks.use or ()), *chain.sinks.add), "sink", ("chains", name, "sinks"))
            uses = (*(chain.notifiers.use or ()), *chain.notifiers.add)
            self._check_kind([use.use for use in uses], "notifier", ("chains", name, "notifiers"))
        for index, scope in enumerate(settings.scopes):
            if scope.add is not None:
                at: KeyPath = ("scopes", index, "add")
                self._check_kind(scope.add.scanners, "scanner", (*at, "scanners"))
                self._check_kind(scope.add.sinks, "sink", (*at, "sinks"))
                self._check_kind([use.use for use in scope.add.notifiers], "notifier", (*at, "notifiers"))

    def _check_kind(self, names: Any, kind: str, path: KeyPath) -> None:  # noqa: ANN401  # any sequence of names
        for name in names:
            bound = self.instances.get(name)
            if bound is not None and kind not in bound.specs:
                kinds = " and ".join(bound.specs)
                what = f"the instance {name!r} is a {kinds} (plugin {bound.plugin}), not a {kind}"
                self.problems.append(problem(self._document, path, what))

    def _missing(self, plugin: str, kinds: tuple[str, ...], path: KeyPath) -> None:
        error = self._find_problem(plugin, kinds)
        self.plugin_error = self.plugin_error or error
        said = error.message if error else f"no plugin {plugin!r}"
        self.problems.append(problem(self._document, (*path, "plugin"), said))

    def _validated(self, model: type[PluginConfig], options: Mapping[str, Any], path: KeyPath) -> PluginConfig | None:
        try:
            return model.model_validate(dict(options))
        except ValidationError as exc:
            self.problems += validation_problems(exc, self._document, model, path)
            return None


def fingerprint(spec: ScannerSpec | None, config: BaseModel) -> str:
    """A hash of the options that change a scan's result; secrets enter by their reference only."""
    options = spec.fingerprint(config) if spec and spec.fingerprint else config.model_dump(mode="json")
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=sorted).encode()).hexdigest()[:16]
