"""The configuration: what is written is understood, what is wrong is told with its place, nothing evades."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from scanguard.errors import ConfigError, PluginMissingError
from scanguard.hooks import Catalog, NotifierSpec, PluginConfig, PolicySpec, ScannerSpec, SinkSpec
from scanguard.loader import Plugins
from scanguard.model.secret import SecretRef
from scanguard.settings.bind import Bound, bind
from scanguard.settings.chains import Facts, chain_named, effective_chain
from scanguard.settings.describe import explain_chain, first_config, json_schema
from scanguard.settings.load import Loaded, built_in, load_settings, parse_settings
from scanguard.settings.schema import Settings
from scanguard.settings.source import MAX_BYTES, Document, merge, read_environment, read_text

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
DESIGN_EXAMPLE = f"""\
version: 1
instances:
  qualys-us:
    plugin: qualys
    mode: platform
    url: https://gateway.example
    username: env:QUALYS_USER
    password: keyvault:kv-security/QualysPassword
  trivy:
    plugin: trivy
    server: http://trivy:4954
  ops:
    plugin: slack
    webhook: keyvault:kv-security/SlackOps
chains:
  default:
    scanners:
      use: [qualys-us]
      require: all            # or any; or fallback: [a, b]
    freshness: 24h
    policies:
      - plugin: threshold
        fail: {{severity: CRITICAL}}
        warn: {{severity: HIGH, fixable: true}}
        unknown: fail
    notifiers:
      - use: ops
        when: {{verdict: [fail, unknown]}}
        only: new
  prod:
    extends: default
    scanners: {{add: [trivy]}}
scopes:                       # first match wins
  - match: {{subscription: {SUBSCRIPTION}}}
    chain: prod
"""


BOMB = "a: &a [x,x,x,x,x,x,x]\n" + "\n".join(
    f"{name}: &{name} [{','.join(['*' + below] * 7)}]" for below, name in pairwise("abcdefgh")
)


class QualysConfig(PluginConfig):
    mode: str
    url: str = ""
    pod: str = ""
    username: SecretRef
    password: SecretRef


class TrivyConfig(PluginConfig):
    server: str = ""
    timeout_s: float = Field(default=60.0, gt=0)


class SlackConfig(PluginConfig):
    webhook: SecretRef


class ThresholdConfig(PluginConfig):
    fail: dict[str, Any] = Field(default={})
    warn: dict[str, Any] = Field(default={})
    unknown: str = "unknown"
    gaps: str = "unknown"


def nothing(config: Any, context: Any) -> Any:
    raise AssertionError("nothing is built while a configuration is checked")


EMPTY = Catalog({}, {}, {}, {}, {}, {}, {}, {}, {})
CATALOG = Catalog(
    scanners={
        "qualys": ScannerSpec("qualys", QualysConfig, nothing),
        "trivy": ScannerSpec("trivy", TrivyConfig, nothing),
        "osv": ScannerSpec("osv", PluginConfig, nothing),
    },
    sinks={"json_files": SinkSpec("json_files", PluginConfig, nothing)},
    notifiers={
        "slack": NotifierSpec("slack", SlackConfig, nothing),
        "console": NotifierSpec("console", PluginConfig, nothing),
    },
    policies={"threshold": PolicySpec("threshold", ThresholdConfig, nothing)},
    platforms={},
    event_sources={},
    registry_credentials={},
    secret_stores={},
    commands={},
)
PLUGINS = Plugins((), CATALOG)


def loaded(text: str, *, environ: dict[str, str] | None = None) -> Loaded:
    document = merge([read_text(text, "scanguard.yaml"), read_environment(environ or {})])
    return Loaded(parse_settings(document), document, Path(), (Path("scanguard.yaml"),))


def bound(text: str, plugins: Plugins = PLUGINS) -> Bound:
    return bind(loaded(text), plugins.catalog, plugins.problem)


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        bound(text)
    return "\n".join((*caught.value.problems, caught.value.message))


def test_the_example_of_the_documentation_means_what_it_says() -> None:
    found = bound(DESIGN_EXAMPLE)
    assert {name: one.plugin for name, one in found.instances.items()} == {
        "qualys-us": "qualys",
        "trivy": "trivy",
        "ops": "slack",
    }
    settings, document = found.settings, found.loaded.document
    default = effective_chain(settings, document, Facts())
    assert (default.name, default.scanners, default.require) == ("default", ("qualys-us",), "all")
    prod = effective_chain(settings, document, Facts(subscription=SUBSCRIPTION.upper()))
    assert (prod.name, prod.scanners) == ("prod", ("qualys-us", "trivy"))
    assert prod.freshness == timedelta(hours=24)
    assert [use.policy.plugin for use in prod.policies] == ["threshold"]
    assert found.policies[prod.policies[0].key].unknown == "fail"  # type: ignore[attr-defined]  # a ThresholdConfig
    assert [outcome.value for outcome in prod.notifiers[0].when.verdict] == ["fail", "unknown"]
    assert prod.why == (
        "scope 1 (scanguard.yaml:34) matches and names the chain prod",
        "prod extends default",
    )


def test_each_value_says_where_it_was_written() -> None:
    settings = loaded(DESIGN_EXAMPLE, environ={"SCANGUARD__chains__default__freshness": "12h"})
    chain = effective_chain(settings.settings, settings.document, Facts(subscription=SUBSCRIPTION))
    values = {(value.key, value.value): value.origin for value in explain_chain(chain).values}
    assert values["scanners", "qualys-us"] == "scanguard.yaml:17"
    assert values["scanners", "trivy"] == "scanguard.yaml:32"
    assert values["freshness", "12h"] == "environment variable SCANGUARD__chains__default__freshness"
    assert values["deadline", "45m"] == "built-in default"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "chains:\n", "chain:\n", 'scanguard.yaml:15: chain: unknown key; did you mean "chains"?', id="top"
        ),
        pytest.param("webhook:", "webhok:", 'instances.ops.webhok: unknown key; did you mean "webhook"?', id="option"),
        pytest.param("webhook:", "webhok:", "instances.ops.webhook: this key is missing", id="missing option"),
        pytest.param(
            "freshness: 24h", "freshness: 24", "scanguard.yaml:20: chains.default.freshness: say which", id="unit"
        ),
        pytest.param("freshness: 24h", "freshness: soon", "this is no duration", id="duration"),
        pytest.param(
            "extends: default", "extends: defualt", "no chain 'defualt'; did you mean \"default\"?", id="chain"
        ),
        pytest.param("add: [trivy]", "add: [trivvy]", "no instance 'trivvy'; did you mean \"trivy\"?", id="instance"),
        pytest.param("extends: default", "extends: prod", "these chains extend each other: prod → prod", id="cycle"),
        pytest.param("use: [qualys-us]", "use: [ops]", "'ops' is a notifier (plugin slack), not a scanner", id="kind"),
        pytest.param(
            "require: all", "require: some", "chains.default.scanners.require: this must be 'all'", id="choice"
        ),
        pytest.param("version: 1", "version: 2", "scanguard.yaml:1: version: this must be 1", id="version"),
        pytest.param("only: new", "only: nwe", "this must be 'new' or 'all'", id="only"),
        pytest.param("server: http://trivy:4954", "timeout_s: -1", "instances.trivy.timeout_s:", id="range"),
        pytest.param("  default:\n", "  other:\n", "no chain named default", id="no default"),
        pytest.param(
            "chain: prod", "chain: prd", "scopes.0.chain: there is no chain 'prd'; did you mean \"prod\"?", id="scope"
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_what_would_be_right(old: str, new: str, says: str) -> None:
    assert old in DESIGN_EXAMPLE
    assert says in problems(DESIGN_EXAMPLE.replace(old, new, 1))


def test_every_mistake_is_told_at_once() -> None:
    text = DESIGN_EXAMPLE.replace("webhook:", "webhok:").replace("server:", "sever:")
    assert problems(text).count("unknown key") == 2


def test_a_missing_plugin_names_its_extra_and_only_configured_ones_matter() -> None:
    without = Plugins((), Catalog(**{**{f: getattr(CATALOG, f) for f in Catalog.__slots__}, "scanners": {
        name: spec for name, spec in CATALOG.scanners.items() if name != "trivy"}}))  # fmt: skip
    with pytest.raises(PluginMissingError, match=r'pip install "scanguard\[trivy\]"'):
        bound(DESIGN_EXAMPLE, without)
    text = DESIGN_EXAMPLE.replace("  trivy:\n    plugin: trivy\n    server: http://trivy:4954\n", "")
    bound(text.replace("scanners: {add: [trivy]}", "freshness: 1h"), without)


@given(st.from_regex(r"[A-Za-z0-9+/]{20,40}", fullmatch=True))
def test_a_secret_written_where_a_reference_is_due_is_refused_and_never_shown(canary: str) -> None:
    text = DESIGN_EXAMPLE.replace("keyvault:kv-security/SlackOps", json.dumps(canary))
    said = problems(text)
    assert canary not in said
    assert "never by value" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: [1, 2", "cfg:1: this is not YAML", id="broken"),
        pytest.param("a:\n\t- 1", "this is not YAML", id="tab"),
        pytest.param("- 1", "a configuration is a mapping", id="list"),
        pytest.param("a: 1\na: 2", "cfg:2: the key 'a' stands twice", id="doubled key"),
        pytest.param("a: !!python/object/apply:os.system [echo]", "cfg:1:", id="python tag"),
        pytest.param("? [a]\n: 1", "a key is plain text", id="odd key"),
        pytest.param("a: " + "[" * 80 + "]" * 80, "nested deeper", id="deep"),
        pytest.param("a: " + "[" * 5000 + "]" * 5000, "cfg", id="very deep"),
        pytest.param(
            BOMB,
            "more than 50000 values",
            id="billion laughs",
        ),
        pytest.param("a: \x00", "this is not YAML", id="control character"),
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(text, "cfg")
    assert says in caught.value.message


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    huge, binary = tmp_path / "huge.yaml", tmp_path / "binary.yaml"
    huge.write_bytes(b"#" * (MAX_BYTES + 1))
    binary.write_bytes(b"\xff\xfe\x00")
    for path, says in ((huge, "larger than 1024 KiB"), (binary, "not UTF-8"), (tmp_path / "no", "No such file")):
        with pytest.raises(ConfigError, match=says):
            load_settings([path], {})


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    try:
        read_text(text, "cfg")
    except ConfigError as exc:
        said = exc.message
        assert "cfg" in said


def test_files_lie_over_each_other_and_the_environment_over_all(tmp_path: Path) -> None:
    below, above = tmp_path / "a.yaml", tmp_path / "b.yaml"
    below.write_text(
        "version: 1\nchains: {default: {scanners: [osv], freshness: 1h}}\ninstances: {osv: {plugin: osv}}\n"
    )
    above.write_text("chains: {default: {freshness: 2h}}\n")
    environ = {"SCANGUARD__chains__default__deadline": "5m", "SCANGUARD_DATA_DIR": "x"}
    found = load_settings([below, above], environ)
    chain = effective_chain(found.settings, found.document, Facts())
    assert (chain.scanners, chain.freshness, chain.deadline) == (("osv",), timedelta(hours=2), timedelta(minutes=5))
    assert chain.origins["freshness"] == f"{above}:1"
    assert found.folder == tmp_path.resolve()


def test_without_a_file_the_built_in_defaults_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load_settings(None, {})
    assert effective_chain(found.settings, found.document, Facts()).scanners == ("osv",)
    (tmp_path / "scanguard.yaml").write_text(DESIGN_EXAMPLE)
    assert "ops" in load_settings(None, {}).settings.instances


def test_the_first_configuration_is_good_and_prefers_the_default_scanner() -> None:
    text = first_config(CATALOG)
    assert bound(text).instances["qualys"].plugin == "qualys"
    without = Catalog(
        **{**{f: getattr(CATALOG, f) for f in Catalog.__slots__}, "scanners": {"osv": CATALOG.scanners["osv"]}}
    )
    assert "plugin: osv" in first_config(without)


def test_the_schema_knows_every_plugins_options() -> None:
    schema = json_schema(CATALOG)
    branches = schema["$defs"]["Instance"]["allOf"]
    trivy = next(b for b in branches if b["if"]["properties"]["plugin"]["const"] == "trivy")
    assert "timeout_s" in trivy["then"]["properties"]
    assert schema["$schema"].endswith("2020-12/schema")
    json.dumps(schema)


# --- promise 8: nobody who deploys can evade -----------------------------------------------------------------

TAG_SCOPE = """
  - match: {tags: {tier: gold}}
    add:
      scanners: [trivy]
      policies: [{plugin: threshold, fail: {severity: LOW}}]
      notifiers: [{use: ops, only: all}]
"""


def test_a_scope_that_matches_tags_adds_and_its_scanner_must_answer() -> None:
    found = loaded(DESIGN_EXAMPLE + TAG_SCOPE)
    chain = effective_chain(found.settings, found.document, Facts(tags={"Tier": "GOLD"}))
    assert (chain.scanners, chain.also) == (("qualys-us",), ("trivy",))
    assert len(chain.policies) == 2
    assert "scope 2" in chain.why[-1]


def test_a_scope_that_matches_tags_cannot_choose_a_chain() -> None:
    text = DESIGN_EXAMPLE + "  - {match: {tags: {tier: gold}}, chain: prod}\n"
    assert "whoever deploys writes the tags" in problems(text)


names = st.sampled_from(["qualys-us", "trivy"])
tags = st.dictionaries(st.sampled_from(["tier", "env"]), st.sampled_from(["gold", "dev", "*"]), max_size=2)
additions = st.fixed_dictionaries(
    {},
    optional={
        "scanners": st.lists(names, max_size=2),
        "sinks": st.just([]),
        "policies": st.lists(st.just({"plugin": "threshold"}), max_size=2),
        "notifiers": st.lists(st.just({"use": "ops"}), max_size=1),
    },
)
scopes = st.lists(st.fixed_dictionaries({"match": st.fixed_dictionaries({"tags": tags}), "add": additions}), max_size=4)


@given(scopes=scopes, workload=st.dictionaries(st.sampled_from(["tier", "env", "x"]), st.sampled_from(["gold", "dev"])))
def test_whatever_tags_a_workload_has_it_gets_at_least_what_it_gets_without_them(
    scopes: list[dict[str, Any]], workload: dict[str, str]
) -> None:
    base = read_text(DESIGN_EXAMPLE, "scanguard.yaml")
    document = Document({**base.data, "scopes": [*base.data["scopes"], *scopes]}, base.places)
    settings = Settings.model_validate(document.data)
    without = effective_chain(settings, document, Facts())
    tagged = effective_chain(settings, document, Facts(tags=workload))
    assert tagged.scanners == without.scanners
    assert (tagged.require, tagged.fallback, tagged.freshness, tagged.deadline) == (
        without.require,
        without.fallback,
        without.freshness,
        without.deadline,
    )
    assert set(without.also) <= set(tagged.also)
    assert [use.key for use in without.policies] == [
        u.key for u in tagged.policies if u.key in {p.key for p in without.policies}
    ]
    assert set(without.sinks) <= set(tagged.sinks)
    assert set(without.notifiers) <= set(tagged.notifiers)


def test_the_built_in_defaults_pass_their_own_grammar() -> None:
    assert "default" in parse_settings(built_in()).chains


DOCUMENT = (Path(__file__).parents[2] / "docs/configuration.md").read_text(encoding="utf-8")


def _keys(schema: dict[str, Any]) -> set[str]:
    """Every key of the grammar itself."""
    keys = set(schema.get("properties", {}))
    for definition in schema.get("$defs", {}).values():
        if definition.get("title") != "Platform":
            keys |= set(definition.get("properties", {}))
    return keys


def test_every_key_is_documented_and_the_documented_example_is_the_tested_one() -> None:
    assert sorted(key for key in _keys(Settings.model_json_schema()) if f"`{key}`" not in DOCUMENT) == []
    example = DOCUMENT.split("```yaml\n")[1].split("```")[0]
    assert example.startswith(DESIGN_EXAMPLE)
    bound(example)


PROFILES = """\
version: 1
instances:
  qualys-us:
    plugin: qualys
    mode: platform
    url: https://gateway.example
    username: env:QUALYS_USER
    password: env:QUALYS_PASSWORD
    quota: 300/h
    profiles:
      deep: {mode: ondemand}
chains:
  default:
    scanners: [qualys-us]
  deep:
    extends: default
    scanners: [qualys-us@deep]
"""


def test_a_chain_may_name_a_profile_of_a_scanner_whose_options_lie_over_the_instances_own() -> None:
    done = bound(PROFILES)
    plain, deep = done.instances["qualys-us"], done.instances["qualys-us@deep"]

    assert deep.config == plain.config.model_copy(update={"mode": "ondemand"})
    assert deep.fingerprint != plain.fingerprint, "what another profile found is not taken for this one's"
    assert deep.rates == plain.rates != ()
    assert chain_named(done.settings, done.loaded.document, "deep").scanners == ("qualys-us@deep",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "@deep]", "@dep]", "there is no profile 'qualys-us@dep'; did you mean \"qualys-us@deep\"?", id="no"
        ),
        pytest.param("{mode: o", "{moed: o", "scanguard.yaml:11: instances.qualys-us.profiles.deep.moed", id="key"),
        pytest.param("[qualys-us@deep]", "[trivy@deep]", "there is no instance 'trivy@deep'", id="instance"),
    ],
)
def test_a_wrong_profile_is_told_with_its_place(old: str, new: str, says: str) -> None:
    assert says in problems(PROFILES.replace(old, new))


def test_a_scanners_record_is_adapted_to_its_configuration() -> None:
    spec = replace(
        CATALOG.scanners["trivy"],
        refine=lambda spec, config: replace(spec, scan_timeout_s=config.timeout_s),
    )
    plugins = Plugins((), replace(CATALOG, scanners={**CATALOG.scanners, "trivy": spec}))
    text = "version: 1\ninstances:\n  trivy: {plugin: trivy, timeout_s: 5}\nchains:\n  default: {scanners: [trivy]}\n"

    assert bound(text, plugins).instances["trivy"].specs["scanner"].scan_timeout_s == 5
