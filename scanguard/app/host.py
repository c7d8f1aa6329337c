"""Builds the objects that the configuration names, lends them what they need, and closes them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from scanguard.engine.documents import stable_id
from scanguard.engine.guard import call_plugin
from scanguard.engine.plan import (
    Hosted,
    HostedPlatform,
    HostedPolicy,
    HostedScanner,
    HostedSweep,
    Limited,
    NoticeRule,
    Plan,
    PolicyRef,
)
from scanguard.errors import (
    ConfigError,
    PluginContractError,
    RegistryAuthError,
    ScanguardError,
    SecretError,
    SecretUnavailableError,
)
from scanguard.hooks import (
    Catalog,
    PlatformSpec,
    PluginConfig,
    PluginContext,
    RegistryCredentialSpec,
    Scanner,
    SecretStore,
    SecretStoreSpec,
    Sweep,
    SweepSpec,
)
from scanguard.http import HttpFactory
from scanguard.intake import why_ignored
from scanguard.model.base import base_of
from scanguard.model.deployment import Deployment, Event
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.rate import Rate
from scanguard.model.secret import SecretRef
from scanguard.oci.client import ImageClient
from scanguard.oci.configured import ConfiguredCredentials
from scanguard.oci.credentials import CredentialSource, RegistryCredential
from scanguard.oci.settings import RegistrySettings
from scanguard.ports import Clock
from scanguard.settings.bind import Bound, BoundInstance
from scanguard.settings.chains import EffectiveChain, Facts, PolicyUse, effective_chain
from scanguard.telemetry.http_spans import HttpSpans
from scanguard.telemetry.secrets import conceal

SECRET_TIMEOUT_S = 30.0
CREDENTIAL_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 5.0
CREDENTIALS = "registry credentials"
IMAGE_PLATFORM = "image"
T = TypeVar("T")
log = logging.getLogger("scanguard.app")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the host was started with."""

    bound: Bound
    catalog: Catalog
    registries: RegistrySettings
    data_dir: Path
    clock: Clock
    offline: bool = False
    scanners: tuple[BoundInstance, ...] = ()
    """When given, they replace every chain's scanners."""


class PluginHost:
    """:class:`scanguard.engine.plan.Host` over a bound configuration; each object is built once, when first used."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._given = surroundings
        self._catalog = surroundings.catalog
        self._http = HttpFactory(ca_file=surroundings.registries.ca_file, watch=HttpSpans("images"))
        self._instances = {**surroundings.bound.instances, **{one.name: one for one in surroundings.scanners}}
        self._images = ImageClient(self._http, _Credentials(self), surroundings.registries, surroundings.clock)
        self._built: dict[tuple[str, str], Any] = {}
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._settings = surroundings.bound.settings

    # --- what plugins are lent --------------------------------------------------------------------------

    def context(self, instance: str, plugin: str | None = None) -> PluginContext:
        """What an object of this instance is lent."""
        tells = (plugin or instance) in {*self._catalog.notifiers, *self._catalog.sinks}
        return PluginContext(
            instance=instance,
            http=self._http.watched(HttpSpans(instance, shows_paths=not tells)),
            images=self._images,
            secret=self.secret,
            clock=self._given.clock,
            data_dir=self._given.data_dir / "plugins" / (plugin or instance),
            config_dir=self._given.bound.loaded.folder,
            offline=self._given.offline,
            log=logging.getLogger(f"scanguard.plugin.{instance}"),
            event_sources=tuple(self._catalog.event_sources.values()),
        )

    async def secret(self, reference: SecretRef) -> SecretStr:
        """The value of a secret reference; raises SecretError, which names the reference only."""
        spec = self._catalog.secret_stores.get(reference.scheme)
        if spec is None:
            known = ", ".join(f"{name}:" for name in sorted(self._catalog.secret_stores)) or "none"
            raise SecretError(f"nothing resolves {reference}: the schemes known here are {known}")
        store: SecretStore = self._object(
            "secret store", reference.scheme, partial(self.build_single, "secret store", spec)
        )
        found = await call_plugin(
            store.resolve(reference.locator),
            plugin=reference.scheme,
            what="resolve",
            timeout_s=SECRET_TIMEOUT_S,
            timeout_error=SecretUnavailableError,
            returns=SecretStr,
        )
        conceal(found.get_secret_value())
        return found

    def build_single(self, kind: str, spec: SecretStoreSpec | RegistryCredentialSpec) -> Any:  # noqa: ANN401  # a plugin's own object
        """A secret store or a source of credentials, as its instance says, or with the defaults."""
        bound = self._given.bound.single(kind, spec.name)
        config = spec.config() if bound is None else bound.config
        return spec.build(config, self.context(spec.name if bound is None else bound.name, spec.name))

    def credential_sources(self) -> Iterator[tuple[str, CredentialSource]]:
        """What the configuration says, then every source that plugins offer, lowest priority number first."""
        yield "registries.credentials", ConfiguredCredentials(self._given.registries.credentials, self.secret)
        offered = self._catalog.registry_credentials.values()
        for spec in sorted(offered, key=lambda one: (one.priority, one.name)):
            yield spec.name, self._object(CREDENTIALS, spec.name, partial(self.build_single, CREDENTIALS, spec))

    # --- the engine's questions ---------------------------------------------------------------------------

    def plan(self, deployment: Deployment) -> Plan:
        """The chain that applies, as the engine needs it."""
        facts = Facts(deployment.subscription, deployment.resource_group, deployment.kind, deployment.tags)
        key = (facts.subscription, facts.resource_group, facts.kind, frozenset(facts.tags.items()))
        if key not in self._plans:
            loaded = self._given.bound.loaded
            if len(self._plans) > 1000:
                self._plans.clear()
            self._plans[key] = self._as_plan(effective_chain(loaded.settings, loaded.document, facts))
        return self._plans[key]

    def _as_plan(self, chain: EffectiveChain) -> Plan:
        plan = Plan(
            chain=chain.name,
            why=chain.why,
            scanners=chain.scanners,
            require=chain.require,
            fallback=chain.fallback,
            also=chain.also,
            trust=chain.trust,
            freshness=chain.freshness,
            deadline=chain.deadline,
            policies=tuple(self._policy_ref(use) for use in chain.policies),
            sinks=chain.sinks,
            notifiers=tuple(
                NoticeRule(use.use, frozenset(use.when.verdict), only_new=use.only == "new") for use in chain.notifiers
            ),
        )
        if not self._given.scanners:
            return plan
        names = tuple(one.name for one in self._given.scanners)
        why = (*plan.why, f"the command line asks for {', '.join(names)} instead of the chain's scanners")
        return replace(plan, scanners=names, require="all", fallback=(), also=(), why=why)

    def _policy_ref(self, use: PolicyUse) -> PolicyRef:
        name = use.policy.plugin
        return PolicyRef(use.key, name, judges_gaps=self._catalog.policies[name].judges_gaps)

    def scanner(self, instance: str) -> HostedScanner:
        """A scanner instance; it is built when it is first asked."""
        bound = self._instance(instance)
        spec = bound.specs["scanner"]
        build = lambda: spec.build(bound.config, self.context(instance, bound.plugin))  # noqa: E731  # used twice below

        def open_() -> Scanner:
            return self._object("scanner", instance, build)  # type: ignore[no-any-return]  # plugins are not typed here

        mode = "-offline" if self._given.offline else ""
        return HostedScanner(instance, spec, bound.fingerprint + mode, open_, bound.rates or spec.quota)

    def sink(self, instance: str) -> Hosted:
        """A sink instance."""
        spec, sink = self._built_instance("sink", instance)
        return Hosted(instance, sink.write, spec.timeout_s)

    def notifier(self, instance: str) -> Hosted:
        """A notifier instance."""
        spec, notifier = self._built_instance("notifier", instance)
        return Hosted(instance, notifier.send, spec.timeout_s)

    def policy(self, ref: PolicyRef) -> HostedPolicy:
        """A policy of a chain."""
        spec = self._catalog.policies[ref.name]
        config = self._given.bound.policies[ref.key]
        policy = self._object("policy", ref.key, lambda: spec.build(config, self.context(ref.name)))
        return HostedPolicy(ref.name, policy, spec.timeout_s)

    def sweeps(self) -> Sequence[str]:
        """The instances that have a periodic job; a profile has none of its own."""
        return [one.name for one in self._instances.values() if "sweep" in one.specs and one.name == base_of(one.name)]

    def sweep(self, instance: str) -> HostedSweep:
        """The periodic job of an instance; it is built when its first page is asked for."""
        bound = self._instance(instance)
        spec: SweepSpec = bound.specs["sweep"]

        def open_() -> Sweep:
            build = partial(spec.build, bound.config, self.context(instance, bound.plugin))
            return self._object("sweep", instance, build)

        limited = Limited(instance, bound.rates or spec.quota)
        return HostedSweep(instance, spec, _every(spec, bound.config, instance), open_, limited)

    def ignores(self, event: Event) -> str:
        """Why nothing is done about an event; empty when something is."""
        return why_ignored(event, self._settings.exclude, self._settings.ignore_actors)

    def platforms(self, resource_id: str) -> Sequence[HostedPlatform]:
        """Every platform that owns the resource, in the order of the configuration."""
        return [
            HostedPlatform(
                name,
                spec,
                partial(self._object, "platform", name, partial(spec.build, config, self.context(name))),
                Limited(_bucket(name, spec, resource_id), rates or spec.quota),
            )
            for name, spec, config, rates in self._platforms()
            if _owns(spec, resource_id)
        ]

    async def resolve(self, name: str, platform: Platform | None) -> ResolvedImage:
        """Resolve an image name."""
        return await self._images.resolve(name, platform)

    # --- building and closing -----------------------------------------------------------------------------

    def _platforms(self) -> list[tuple[str, PlatformSpec, Any, tuple[Rate, ...]]]:
        configured = [
            (one.name, one.specs["platform"], one.config, one.rates)
            for one in self._instances.values()
            if "platform" in one.specs and one.name == base_of(one.name)
        ]
        by_hand = self._catalog.platforms.get(IMAGE_PLATFORM)
        return [*([(IMAGE_PLATFORM, by_hand, by_hand.config(), ())] if by_hand else []), *configured]

    def _instance(self, name: str) -> BoundInstance:
        found = self._instances.get(name)
        if found is None:
            raise ConfigError(f"the instance {name!r} is not in the configuration any more", target=name)
        return found

    def _built_instance(self, kind: str, name: str) -> tuple[Any, Any]:
        bound = self._instance(name)
        spec = bound.specs[kind]
        return spec, self._object(kind, name, lambda: spec.build(bound.config, self.context(name, bound.plugin)))

    def _object(self, kind: str, name: str, build: Callable[[], T]) -> T:
        """Build once; what a factory raises becomes one of our errors."""
        key = (kind, name)
        if key not in self._built:
            try:
                self._built[key] = build()
            except ScanguardError as exc:
                exc.plugin = exc.plugin or name
                raise
            except Exception as exc:
                raise PluginContractError(
                    f"building the {kind} {name!r} raised {type(exc).__name__}, which its contract forbids",
                    plugin=name,
                ) from exc
        return self._built[key]  # type: ignore[no-any-return]  # kept under a key of its kind

    async def aclose(self) -> None:
        """Close everything that was built; what cannot be closed is said and left."""
        built = [*self._built.items(), (("client", "images"), self._images)]
        self._built = {}
        for (kind, name), one in built:
            close: Callable[[], Awaitable[None]] | None = getattr(one, "aclose", None)
            if close is None:
                continue
            try:
                await call_plugin(
                    _awaited(close),
                    plugin=name,
                    what="aclose",
                    timeout_s=CLOSE_TIMEOUT_S,
                    timeout_error=PluginContractError,
                    returns=type(None),
                )
            except ScanguardError as exc:
                log.warning("could not close: kind=%s name=%s error=%s", kind, name, exc)


class _Credentials:
    """Every source of registry credentials; what one gives is kept out of the logs."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host

    async def credential(self, registry: str) -> RegistryCredential | None:
        """The first credential found, or None."""
        for name, source in self._host.credential_sources():
            found = await call_plugin(
                _awaited(partial(source.credential, registry)),
                plugin=name,
                what="credential",
                timeout_s=CREDENTIAL_TIMEOUT_S,
                timeout_error=RegistryAuthError,
                returns=(RegistryCredential, type(None)),
            )
            if isinstance(found, RegistryCredential):
                for secret in filter(None, (found.password, found.identity_token)):
                    conceal(secret.get_secret_value())
                return found
        return None


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


def _every(spec: SweepSpec, config: PluginConfig, instance: str) -> timedelta | None:
    try:
        every = spec.every(config)
    except Exception as exc:
        raise PluginContractError(f"every raised {type(exc).__name__}", plugin=instance) from exc
    if every is not None and (not isinstance(every, timedelta) or every <= timedelta(0)):
        raise PluginContractError(f"{instance} says that its job starts every {every!r}", plugin=instance)
    return every


def _bucket(instance: str, spec: PlatformSpec, resource_id: str) -> str:
    """The name of the book that requests about a resource are entered in; a key from an id may hold anything."""
    if spec.quota_key is None:
        return instance
    try:
        key = str(spec.quota_key(resource_id))
    except Exception as exc:
        raise PluginContractError(f"quota_key raised {type(exc).__name__}", plugin=instance) from exc
    return f"{instance}:{stable_id('quota', key)}"


def _owns(spec: PlatformSpec, resource_id: str) -> bool:
    try:
        return bool(spec.owns(resource_id))
    except Exception as exc:
        raise PluginContractError(f"owns raised {type(exc).__name__}", plugin=spec.name) from exc
