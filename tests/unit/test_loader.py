"""A bad plugin hurts only itself, and says so; a needed one stops the start."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from scanguard.errors import PluginConflictError, PluginLoadError, PluginMissingError
from scanguard.hooks import CommandSpec, PluginConfig, ScannerSpec, hookimpl
from scanguard.loader import BLOCKED_VARIABLE, BUILTIN, LIST_VARIABLE, Candidate, PluginInfo, Plugins, load_plugins


def spec(name: str = "acme") -> ScannerSpec:
    return ScannerSpec(name=name, config=PluginConfig, build=lambda config, context: None)  # type: ignore[arg-type, return-value]  # never built


def candidate(name: str = "acme", *, api: Any = 1, load: Callable[[], Any] | None = None, **hooks: Any) -> Candidate:
    module = types.ModuleType(f"scanguard_{name}")
    if api is not None:
        module.scanguard_api_version = api  # type: ignore[attr-defined]  # a module made by hand
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    return Candidate(name, module.__name__, load or (lambda: module), f"scanguard-{name}", "1.2.3")


def scanners(*specs: Any) -> Callable[[], Iterable[Any]]:
    def scanguard_scanners() -> Iterable[Any]:
        yield from specs

    return scanguard_scanners


def loaded(*candidates: Candidate, environ: dict[str, str] | None = None) -> Plugins:
    return load_plugins(environ or {}, candidates)


def third_party(plugins: Plugins) -> set[str]:
    """Scanners that scanguard does not bring along."""
    return set(plugins.catalog.scanners) - set(loaded().catalog.scanners)


def info(plugins: Plugins, name: str = "acme") -> PluginInfo:
    return next(one for one in plugins.plugins if one.name == name)


def test_a_good_plugin_is_loaded_with_its_provenance() -> None:
    plugins = loaded(candidate(scanguard_scanners=scanners(spec())))
    assert plugins.catalog.scanners["acme"].name == "acme"
    found = info(plugins)
    assert (found.status, found.kinds, found.version, found.distribution, found.api_version) == (
        "loaded",
        ("scanner",),
        "1.2.3",
        "scanguard-acme",
        1,
    )
    plugins.require("acme", "scanner")


def raises(error: BaseException) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


def hangs_up() -> Iterable[Any]:
    yield spec()
    raise RuntimeError("half way")


def endless() -> Iterable[Any]:
    while True:
        yield spec()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        pytest.param(candidate(load=raises(ImportError("no libfoo"))), "ImportError: no libfoo", id="import fails"),
        pytest.param(candidate(load=raises(SystemExit(3))), "SystemExit: 3", id="import exits"),
        pytest.param(candidate(api=None), "does not say which plugin API", id="no API version"),
        pytest.param(candidate(api=True), "does not say which plugin API", id="API version of another type"),
        pytest.param(candidate(api=2), "upgrade scanguard", id="newer API"),
        pytest.param(candidate(api=0), "upgrade the plugin", id="older API"),
        pytest.param(candidate(scanguard_scaners=scanners()), "unknown hook 'scanguard_scaners'", id="misspelt hook"),
        pytest.param(candidate(scanguard_scanners=hangs_up), "RuntimeError: half way", id="hook raises"),
        pytest.param(candidate(scanguard_scanners=endless), "more than 1000", id="endless hook"),
        pytest.param(candidate(scanguard_scanners=lambda: None), "TypeError", id="hook returns nothing"),
        pytest.param(candidate(scanguard_scanners=scanners("x")), "yields a str", id="wrong record"),
        pytest.param(
            candidate(scanguard_scanners=scanners(CommandSpec("x", lambda context: None))),
            "must yield ScannerSpec",
            id="record of another kind",
        ),
        pytest.param(candidate(scanguard_scanners=scanners(spec("Bad Name"))), "a name matches", id="illegal name"),
        pytest.param(candidate(scanguard_scanners=scanners(spec(), spec())), "twice", id="same name twice"),
    ],
)
def test_a_bad_plugin_is_not_loaded_says_why_and_leaves_the_others_alone(bad: Candidate, says: str) -> None:
    plugins = loaded(bad, candidate("good", scanguard_scanners=scanners(spec("good"))))
    assert says in info(plugins).error
    assert info(plugins).status == "not loaded"
    assert info(plugins, "good").status == "loaded"
    assert third_party(plugins) == {"good"}
    with pytest.raises(PluginLoadError, match="installed but not loaded"):
        plugins.require("acme", "scanner")


def test_an_interrupt_during_an_import_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        loaded(candidate(load=raises(KeyboardInterrupt())))


def test_a_name_claimed_twice_belongs_to_nobody_and_stops_the_start_only_when_it_is_needed() -> None:
    plugins = loaded(
        candidate("one", scanguard_scanners=scanners(spec("acme"))),
        candidate("two", scanguard_scanners=scanners(spec("acme"), spec("other"))),
    )
    assert third_party(plugins) == {"other"}
    plugins.require("other", "scanner")
    with pytest.raises(PluginConflictError, match="one and two both offer the scanner 'acme'"):
        plugins.require("acme", "scanner")


def test_a_missing_plugin_names_its_extra() -> None:
    with pytest.raises(PluginMissingError, match=r'pip install "scanguard\[trivy\]"'):
        loaded().require("trivy", "scanner")


def test_a_plugin_whose_name_is_nearly_right_is_told_with_the_one_that_was_meant() -> None:
    plugins = loaded(candidate(scanguard_scanners=scanners(spec())))
    told = r"no installed plugin offers anything called 'acmee': pip install .*; did you mean \"acme\"\?"
    with pytest.raises(PluginMissingError, match=told):
        plugins.require("acmee", "scanner", "sink")


def test_a_blocked_plugin_is_not_even_imported() -> None:
    plugins = loaded(candidate(load=raises(AssertionError("imported"))), environ={BLOCKED_VARIABLE: " acme ,x"})
    assert info(plugins).status == "blocked"


def test_what_a_plugin_prints_never_reaches_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    def noisy() -> Iterable[Any]:
        print("hello")  # noqa: T201  # the point
        yield spec()

    assert info(loaded(candidate(scanguard_scanners=noisy))).status == "loaded"
    assert capsys.readouterr().out == ""


def test_an_explicit_list_replaces_the_entry_points(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scanguard_listed.py").write_text("scanguard_api_version = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins = load_plugins({LIST_VARIABLE: "scanguard_listed, no.such.module"})
    assert [one.name for one in plugins.plugins] == [BUILTIN, "no", "listed"]
    assert info(plugins, "listed").status == "loaded"
    assert "ModuleNotFoundError" in info(plugins, "no").error


def test_two_applications_share_nothing() -> None:
    one, two = loaded(candidate(scanguard_scanners=scanners(spec()))), loaded()
    assert third_party(one) == {"acme"}
    assert third_party(two) == set()
