"""The grammar of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from scanguard.model.base import Model, Name
from scanguard.model.duration import DurationText
from scanguard.model.outcome import Outcome
from scanguard.model.rate import RateText
from scanguard.oci.settings import RegistrySettings
from scanguard.settings.server import ServerSettings


def _listing(value: object) -> object:
    return {"use": value} if isinstance(value, list) else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Duration = Annotated[DurationText, Field(gt=timedelta(0), le=timedelta(days=366))]
"""``90s``, ``30m``, ``24h``, ``7d``, ``1w`` or ISO 8601."""
OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


InstanceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}(@[a-z][a-z0-9_-]{0,62})?$")]
"""An instance, or ``INSTANCE@PROFILE``."""


PrincipalId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f-]{1,64}$")]
"""An object or application id, as events carry it."""


class Plugged(Model):
    """A plugin with its options; every other key belongs to the plugin."""

    model_config = ConfigDict(frozen=True, extra="allow")

    plugin: Name = Field(description="Name of the plugin.")

    @property
    def options(self) -> Mapping[str, Any]:
        """The plugin's own keys."""
        return self.model_extra or {}


class Instance(Plugged):
    """A plugin with its options, under a name that chains use."""

    quota: Annotated[tuple[RateText, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        max_length=4,
        description="Requests that may be sent to this scanner or platform, by all workers together, such as "
        "`[300/h, 30/m]`. Default: what its plugin says.",
    )
    profiles: Mapping[Name, Mapping[str, Any]] = Field(
        default={},
        description="Named sets of the plugin's options, laid over those of the instance: chains name such a scanner "
        "`INSTANCE@PROFILE`. The quota is the instance's.",
    )


class BackendChoice(Plugged):
    """Where state, queue, reports and records are kept: a plugin, and its options beside it."""


class Policy(Plugged):
    """A policy in a chain: the plugin, and its options beside it."""


class When(Model):
    """Which verdicts a notifier hears of."""

    verdict: tuple[Outcome, ...] = Field(default=tuple(Outcome), description="Outcomes that are told.")


class NotifierUse(Model):
    """A notifier instance in a chain."""

    use: Name = Field(description="The instance.")
    when: When = When()
    only: Literal["new", "all"] = Field(
        default="new",
        description="`new` tells a deployment's verdict when its outcome changed or it has findings it had not before; "
        "`all` tells every verdict.",
    )


class Scanners(Model):
    """Who looks at the images of a chain."""

    use: tuple[InstanceName, ...] | None = Field(default=None, description="Instances; replaces what is inherited.")
    add: tuple[InstanceName, ...] = Field(default=(), description="Instances besides those that are inherited.")
    require: Literal["all", "any"] | None = Field(
        default=None, description="`any`: one report is enough to judge without a gap. Default `all`."
    )
    fallback: tuple[InstanceName, ...] | None = Field(
        default=None, description="Instances asked one after another, each when the one before it failed."
    )
    trust: tuple[InstanceName, ...] | None = Field(
        default=None,
        description="Whose severity counts where several scanners report a finding: the first of these that states "
        "one. Default: the highest that anybody states.",
    )


class Policies(Model):
    """Which rules judge; a plain list is short for ``use``."""

    use: tuple[Policy, ...] | None = Field(default=None, description="Replaces what is inherited.")
    add: tuple[Policy, ...] = Field(default=(), description="Besides what is inherited.")


class Notifiers(Model):
    """Who is told; a plain list is short for ``use``."""

    use: tuple[NotifierUse, ...] | None = Field(default=None, description="Replaces what is inherited.")
    add: tuple[NotifierUse, ...] = Field(default=(), description="Besides what is inherited.")


class Sinks(Model):
    """Who keeps a copy; a plain list is short for ``use``."""

    use: tuple[Name, ...] | None = Field(default=None, description="Replaces what is inherited.")
    add: tuple[Name, ...] = Field(default=(), description="Besides what is inherited.")


ScannersField = Annotated[Scanners, BeforeValidator(_listing)]
PoliciesField = Annotated[Policies, BeforeValidator(_listing)]
NotifiersField = Annotated[Notifiers, BeforeValidator(_listing)]
SinksField = Annotated[Sinks, BeforeValidator(_listing)]


class Chain(Model):
    """Scanners, policies, sinks and notifiers, by name."""

    extends: Name | None = Field(default=None, description="A chain that this one starts from.")
    scanners: ScannersField = Scanners()
    freshness: Duration | None = Field(
        default=None, description="How long a scan of a digest serves other deployments. Default 24h."
    )
    deadline: Duration | None = Field(
        default=None, description="When a verdict is given with what is there then. Default 45m."
    )
    policies: PoliciesField = Policies()
    sinks: SinksField = Sinks()
    notifiers: NotifiersField = Notifiers()


class Match(Model):
    """What a scope matches: all that is given; names in any case, ``*`` for any text; one value or a list."""

    subscription: OneOrMore = ()
    resource_group: OneOrMore = ()
    kind: OneOrMore = ()
    tags: Mapping[str, OneOrMore] = Field(
        default={}, description="Tags of the workload. Whoever deploys can write them: such a scope only adds."
    )


class Additions(Model):
    """What a scope adds to whatever chain applies; it cannot take away or loosen."""

    scanners: tuple[InstanceName, ...] = Field(default=(), description="Instances that must look too.")
    policies: tuple[Policy, ...] = ()
    sinks: tuple[Name, ...] = ()
    notifiers: tuple[NotifierUse, ...] = ()


class Scope(Model):
    """Where a chain applies, or what is added where."""

    match: Match
    chain: Name | None = Field(default=None, description="The chain; the first scope that matches and names one wins.")
    add: Additions | None = Field(default=None, description="Added wherever the scope matches, whoever won.")

    @model_validator(mode="after")
    def _tags_only_add(self) -> Self:
        if self.match.tags and self.chain is not None:
            raise ValueError(
                "a scope that matches tags cannot choose a chain, because whoever deploys writes the tags; use add: "
                "for more scanners, policies, sinks or notifiers"
            )
        if self.chain is None and self.add is None:
            raise ValueError("a scope names a chain, or says what it adds")
        return self


class EngineSettings(Model):
    """The engine's own numbers; seconds unless the name says otherwise."""

    attempts: int = Field(default=5, ge=1, le=100, description="Tries of a step before it is given up, visibly.")
    delivery_attempts: int = Field(default=12, ge=1, le=1000, description="The same for a sink write or a notice.")
    backoff_s: float = Field(default=15.0, gt=0, le=3600, description="Wait after the first failure; then doubled.")
    max_backoff_s: float = Field(default=1800.0, gt=0, le=86_400, description="Longest wait between two tries.")
    lease_s: float = Field(default=20.0, ge=5, le=3600, description="How long a dead worker's scan stays its own.")
    concurrency: int = Field(default=8, ge=1, le=1000, description="Messages one worker handles at once.")


class Settings(Model):
    """The whole configuration, as it is written."""

    version: Literal[1] = Field(description="Version of this grammar.")
    instances: Mapping[Name, Instance] = Field(
        default={}, description="Plugins with their options, by a name of yours."
    )
    chains: Mapping[Name, Chain] = Field(default={}, description="Chains by name; `default` must be there.")
    scopes: tuple[Scope, ...] = Field(default=(), description="First match wins; without one, the chain `default`.")
    backend: BackendChoice | None = Field(
        default=None, description="Where state, queue, reports and records are kept. Default: the data folder."
    )
    registries: RegistrySettings = RegistrySettings()
    engine: EngineSettings = EngineSettings()
    server: ServerSettings = ServerSettings()
    exclude: tuple[str, ...] = Field(
        default=(), description="Resource ids of scanguard's own containers. Exact ids only: no name, no tag, no glob."
    )

    ignore_actors: tuple[PrincipalId, ...] = Field(
        default=(),
        description="Object or application ids of scanguard's own identities: what they do is no event. Exact ids.",
    )

    @model_validator(mode="after")
    def _has_a_default(self) -> Self:
        if "default" not in self.chains:
            raise ValueError("chains has no chain named default, which applies where no scope matches")
        return self
