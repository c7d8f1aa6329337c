"""What people ask of a configuration: its schema, a first file, and what applies where, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import Any, Final

from scanguard.hooks import Catalog
from scanguard.settings.bind import KINDS
from scanguard.settings.chains import BUILT_IN, EffectiveChain
from scanguard.settings.load import Loaded
from scanguard.settings.schema import Settings
from scanguard.settings.source import read_text

_TEMPLATE: Final = """\
# scanguard: what is scanned, how it is judged, and who is told.
# Check it with `scanguard config check`; see what applies where with `scanguard config explain`.
version: 1

instances:                      # plugins with their options, by names of your own
  {instance}:
    plugin: {plugin}
{options}
  files:
    plugin: json_files          # a copy of every verdict, as files
  console:
    plugin: console             # tells on standard error

chains:
  default:
    scanners: [{instance}]
    freshness: 24h              # a scan serves other deployments of the same digest for so long
    policies:
      - plugin: threshold
        fail: {{severity: CRITICAL}}
        warn: {{severity: HIGH}}
        unknown: unknown        # findings nobody rated: fail, warn, unknown or ignore
        gaps: unknown           # what nobody looked at
    sinks: [files]
    notifiers:
      - use: console
        when: {{verdict: [fail, unknown]}}
        only: new

# scopes:                       # the first match wins
#   - match: {{subscription: 00000000-0000-0000-0000-000000000000}}
#     chain: prod
#   - match: {{tags: {{tier: gold}}}}
#     add: {{notifiers: [{{use: console, only: all}}]}}
"""


def first_config(catalog: Catalog) -> str:
    """A commented configuration with the preferred scanner of those that are installed."""
    data = read_text(resources.files(__package__).joinpath("init.yaml").read_text("utf-8"), "init.yaml").data
    offers: list[dict[str, str]] = data["scanners"]
    chosen = next((one for one in offers if one["plugin"] in catalog.scanners), offers[-1])
    options = "\n".join(f"    {line}" for line in chosen["options"].splitlines())
    return _TEMPLATE.format(instance=chosen["instance"], plugin=chosen["plugin"], options=options)


def json_schema(catalog: Catalog) -> dict[str, Any]:
    """JSON Schema (2020-12) of the configuration, with the options of every installed plugin."""
    schema = Settings.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "scanguard configuration"
    definitions = schema["$defs"]
    kinds = {field: getattr(catalog, field) for field in KINDS.values()}
    installed = {name: spec for specs in kinds.values() for name, spec in specs.items()}
    _with_options(definitions["Instance"], installed, definitions)
    _with_options(definitions["Policy"], catalog.policies, definitions)
    _with_options(definitions["BackendChoice"], catalog.backends, definitions)
    for name in ("Scanners", "Policies", "Notifiers", "Sinks"):
        _or_plain_list(definitions, name)
    return schema


def _with_options(definition: dict[str, Any], specs: Mapping[str, Any], definitions: dict[str, Any]) -> None:
    """Say, per plugin, which further keys there are."""
    branches = []
    for name in sorted(specs):
        options = specs[name].config.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(options.pop("$defs", {}))
        options["properties"] = {"plugin": {"const": name}, **options.get("properties", {})}
        branches.append({"if": {"properties": {"plugin": {"const": name}}, "required": ["plugin"]}, "then": options})
    definition["allOf"] = branches
    definition["additionalProperties"] = True


def _or_plain_list(definitions: dict[str, Any], name: str) -> None:
    whole = definitions[name]
    items = whole["properties"]["use"]["anyOf"][0]
    definitions[name] = {"anyOf": [whole, items], "description": whole.get("description", "")}


@dataclass(frozen=True, slots=True)
class Value:
    """One value that applies, and where it was written."""

    key: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class ChainExplanation:
    """What applies to a deployment: the chain, the reasons, and each value with its origin."""

    chain: str
    why: tuple[str, ...]
    values: tuple[Value, ...]


def explain_backend(loaded: Loaded) -> Value:
    """Where things are kept. Options are left out: what is no reference may be a secret that should be one."""
    choice = loaded.settings.backend
    if choice is None:
        return Value("backend", "embedded (the data folder)", BUILT_IN)
    return Value("backend", choice.plugin, loaded.document.place(("backend", "plugin")))


def explain_chain(chain: EffectiveChain) -> ChainExplanation:
    """Put a chain into words."""
    values = [
        *_named(chain, "scanners", chain.scanners),
        *_named(chain, "scanners", chain.also, " (must answer)"),
        _value(chain, "scanners.require", chain.require),
    ]
    if chain.fallback:
        values.append(_value(chain, "scanners.fallback", ", then ".join(chain.fallback)))
    if chain.trust:
        values.append(_value(chain, "scanners.trust", ", then ".join(chain.trust) + ", then the highest"))
    values += [_value(chain, "freshness", _words(chain.freshness)), _value(chain, "deadline", _words(chain.deadline))]
    for use in chain.policies:
        options = ", ".join(f"{key}: {_flow(value)}" for key, value in use.policy.options.items())
        origin = chain.origins.get(f"policies[{use.policy.plugin}]", BUILT_IN)
        values.append(Value("policies", f"{use.policy.plugin} ({options or 'its defaults'})", origin))
    values += _named(chain, "sinks", chain.sinks)
    for notifier in chain.notifiers:
        told = ", ".join(notifier.when.verdict)
        origin = chain.origins.get(f"notifiers[{notifier.use}]", BUILT_IN)
        values.append(Value("notifiers", f"{notifier.use} (verdicts {told}; {notifier.only})", origin))
    return ChainExplanation(chain.name, chain.why, tuple(values))


def _flow(value: object) -> str:
    """A value as YAML writes it in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _named(chain: EffectiveChain, key: str, names: tuple[str, ...], note: str = "") -> list[Value]:
    return [Value(key, name + note, chain.origins.get(f"{key}[{name}]", BUILT_IN)) for name in names]


def _value(chain: EffectiveChain, key: str, value: str) -> Value:
    return Value(key, value, chain.origins.get(key, BUILT_IN))


def _words(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
