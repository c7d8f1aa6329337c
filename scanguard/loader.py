"""Finds, guards and loads plugins; the only caller of their hooks.

Built-ins come first, then either the modules that ``SCANGUARD_PLUGINS`` lists (for packages that lost their
metadata, such as deployment zips) or the installed entry points of the group ``scanguard``. Names in
``SCANGUARD_PLUGINS_BLOCKED`` are never imported. What is broken hurts only itself here; it stops the start when
the configuration needs it (:meth:`Plugins.require`). An import that never returns cannot be ended from inside
the process; ``import_s`` shows a slow one.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module, resources
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from types import ModuleType
from typing import Any, Final

import pluggy

from scanguard import hooks
from scanguard.errors import PluginConflictError, PluginContractError, PluginError, PluginLoadError, PluginMissingError

GROUP: Final = "scanguard"
LIST_VARIABLE: Final = "SCANGUARD_PLUGINS"
BLOCKED_VARIABLE: Final = "SCANGUARD_PLUGINS_BLOCKED"
BUILTIN: Final = "built-in"
API_ATTRIBUTE: Final = "scanguard_api_version"
MAX_RECORDS: Final = 1000
LEGAL_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""What a plugin, and each record it offers, may be called; ``fullmatch`` it."""

Record = Any
"""One of the spec classes of :mod:`scanguard.hooks`."""


@dataclass(frozen=True, slots=True)
class _Hook:
    kind: str
    record: type
    field: str

    @property
    def name(self) -> str:
        return f"scanguard_{self.field}"


HOOKS: Final = (
    _Hook("scanner", hooks.ScannerSpec, "scanners"),
    _Hook("sink", hooks.SinkSpec, "sinks"),
    _Hook("notifier", hooks.NotifierSpec, "notifiers"),
    _Hook("policy", hooks.PolicySpec, "policies"),
    _Hook("platform", hooks.PlatformSpec, "platforms"),
    _Hook("sweep", hooks.SweepSpec, "sweeps"),
    _Hook("event source", hooks.EventSourceSpec, "event_sources"),
    _Hook("registry credentials", hooks.RegistryCredentialSpec, "registry_credentials"),
    _Hook("secret store", hooks.SecretStoreSpec, "secret_stores"),
    _Hook("command", hooks.CommandSpec, "commands"),
    _Hook("backend", hooks.BackendSpec, "backends"),
    _Hook("observer", hooks.ObserverSpec, "observers"),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that may be loaded: its name, its module, and the distribution it came with."""

    name: str
    module: str
    load: Callable[[], Any]
    distribution: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """What became of one plugin; ``error`` says why it is not loaded, or what is wrong with it."""

    name: str
    kinds: tuple[str, ...] = ()
    version: str = ""
    distribution: str = ""
    api_version: int | None = None
    status: str = "loaded"
    error: str = ""
    module: str = ""
    records: tuple[tuple[str, str], ...] = ()
    """Kind and name of each record it offers."""
    import_s: float = 0.0


@dataclass(frozen=True)
class Plugins:
    """Everything that was found, and what the loaded ones offer."""

    plugins: tuple[PluginInfo, ...]
    catalog: hooks.Catalog
    conflicts: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """Kind and name, and the plugins that claim it; none of them has it."""

    def problem(self, name: str, kinds: Sequence[str]) -> PluginError | None:
        """Why no loaded plugin offers a record of this name; None when one does."""
        fields = {hook.kind: hook.field for hook in HOOKS}
        for kind in kinds:
            claimed_by = self.conflicts.get((kind, name))
            if claimed_by:
                both = " and ".join(claimed_by)
                return PluginConflictError(
                    f"{both} both offer the {kind} {name!r}: uninstall one, or block it with {BLOCKED_VARIABLE}",
                    plugin=name,
                )
            if name in getattr(self.catalog, fields[kind]):
                return None
        broken = next((info for info in self.plugins if info.name == name and info.error), None)
        if broken is not None:
            return PluginLoadError(f"the plugin {name!r} is installed but {broken.status}: {broken.error}", plugin=name)
        from scanguard.settings.problems import nearest  # noqa: PLC0415  # only where something is wrong

        wanted = f"the {kinds[0]}" if len(kinds) == 1 else "anything called"
        known = sorted({one for kind in kinds for one in getattr(self.catalog, fields[kind])})
        return PluginMissingError(
            f'no installed plugin offers {wanted} {name!r}: pip install "scanguard[{extra_of(name)}]"'
            f"{nearest(name, known)}",
            plugin=name,
        )

    def require(self, name: str, *kinds: str) -> None:
        """Raise the reason why no loaded plugin offers a record of this name."""
        problem = self.problem(name, kinds)
        if problem is not None:
            raise problem


def extra_of(name: str) -> str:
    """The extra that brings a record: its own name, unless ``extras.json`` says that another extra brings it too."""
    listed = json.loads(resources.files("scanguard").joinpath("extras.json").read_text("utf-8"))
    return next((extra for extra, names in listed.items() if name in names), name)


def load_plugins(environ: Mapping[str, str], installed: Iterable[Candidate] | None = None) -> Plugins:
    """Load the built-ins and every plugin there is.

    Args:
        environ: The environment, for ``SCANGUARD_PLUGINS`` and ``SCANGUARD_PLUGINS_BLOCKED``.
        installed: Candidates to take instead of the environment's and the entry points.
    """
    blocked = _names(environ.get(BLOCKED_VARIABLE, ""))
    if installed is None:
        installed = _listed(environ[LIST_VARIABLE]) if LIST_VARIABLE in environ else _from_entry_points()
    loader = _Loader()
    loader.add(_builtin())
    for candidate in installed:
        if candidate.name in blocked:
            loader.note(candidate, status="blocked", error=f"{BLOCKED_VARIABLE} names it")
        else:
            loader.add(candidate)
    return loader.result()


class _Loader:
    """Adds one candidate at a time; no failure of one touches another."""

    def __init__(self) -> None:
        self._infos: list[PluginInfo] = []
        self._offers: dict[tuple[str, str], list[tuple[str, Record]]] = {}

    def add(self, candidate: Candidate) -> None:
        started = time.perf_counter()
        try:
            module = _imported(candidate)
            api_version = _api_version(module)
            records = _records(candidate, module)
        except PluginError as exc:
            self.note(candidate, status="not loaded", error=exc.message, import_s=time.perf_counter() - started)
            return
        for kind, record in records:
            self._offers.setdefault((kind, record.name), []).append((candidate.name, record))
        self.note(
            candidate,
            kinds=tuple(dict.fromkeys(kind for kind, _ in records)),
            api_version=api_version,
            records=tuple((kind, record.name) for kind, record in records),
            import_s=time.perf_counter() - started,
        )

    def note(self, candidate: Candidate, **found: Any) -> None:  # noqa: ANN401  # fields of PluginInfo
        self._infos.append(
            PluginInfo(
                name=candidate.name,
                module=candidate.module,
                version=candidate.version,
                distribution=candidate.distribution,
                **found,
            )
        )

    def result(self) -> Plugins:
        catalog: dict[str, dict[str, Record]] = {hook.field: {} for hook in HOOKS}
        conflicts = {}
        fields = {hook.kind: hook.field for hook in HOOKS}
        for (kind, name), offers in self._offers.items():
            if len(offers) == 1:
                catalog[fields[kind]][name] = offers[0][1]
            else:
                conflicts[(kind, name)] = tuple(sorted({plugin for plugin, _ in offers}))
        return Plugins(tuple(self._infos), hooks.Catalog(**catalog), conflicts)


def _imported(candidate: Candidate) -> ModuleType:
    """Import; what it prints is thrown away, so that it cannot spoil a command's output."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            module = candidate.load()
    except (Exception, SystemExit) as exc:
        raise PluginLoadError(f"importing {candidate.module} raised {_one_line(exc)}", plugin=candidate.name) from exc
    return module  # type: ignore[no-any-return]  # an entry point may name anything; the next step looks


def _api_version(module: ModuleType) -> int:
    found = getattr(module, API_ATTRIBUTE, None)
    if not isinstance(found, int) or isinstance(found, bool):
        raise PluginContractError(
            f"it does not say which plugin API it was written for: set {API_ATTRIBUTE} = {hooks.API_VERSION}"
        )
    if found > hooks.API_VERSION:
        raise PluginContractError(
            f"it was written for plugin API {found}, this scanguard has {hooks.API_VERSION}: upgrade scanguard"
        )
    if found < hooks.API_VERSION:
        raise PluginContractError(
            f"it was written for plugin API {found}, this scanguard has {hooks.API_VERSION}: upgrade the plugin"
        )
    return found


def _records(candidate: Candidate, module: ModuleType) -> list[tuple[str, Record]]:
    """Ask every hook, one by one, in a manager of its own: nobody else is called, nothing is global."""
    manager = pluggy.PluginManager("scanguard")
    manager.add_hookspecs(hooks.Hooks)
    try:
        manager.register(module, name=candidate.name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as exc:
        raise PluginContractError(f"its hooks are wrong: {_one_line(exc)}") from exc
    offered: list[tuple[str, Record]] = []
    for hook in HOOKS:
        for implementation in getattr(manager.hook, hook.name).get_hookimpls():
            offered += [(hook.kind, record) for record in _asked(hook, implementation.function)]
    names = [(kind, record.name) for kind, record in offered]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise PluginContractError(f"it offers the {doubled[0]} {doubled[1]!r} twice")
    return offered


def _asked(hook: _Hook, implementation: Callable[[], Any]) -> list[Record]:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            answer = implementation()
            records = [record for record, _ in zip(iter(answer), range(MAX_RECORDS + 1), strict=False)]
    except (Exception, SystemExit) as exc:
        raise PluginContractError(f"{hook.name} raised {_one_line(exc)}") from exc
    if len(records) > MAX_RECORDS:
        raise PluginContractError(f"{hook.name} offers more than {MAX_RECORDS} records")
    for record in records:
        if not isinstance(record, hook.record):
            raise PluginContractError(
                f"{hook.name} yields a {type(record).__name__}; it must yield {hook.record.__name__}"
            )
        name = getattr(record, "name", None)
        if not isinstance(name, str) or not LEGAL_NAME.fullmatch(name):
            raise PluginContractError(f"{hook.name} offers the name {name!r}; a name matches [a-z][a-z0-9_-]*")
    return records


def _builtin() -> Candidate:
    module = "scanguard.builtin.plugin"
    return Candidate(BUILTIN, module, lambda: import_module(module), "scanguard", _version_of("scanguard"))


def _from_entry_points() -> list[Candidate]:
    found = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    return [_of_entry_point(point) for point in found]


def _of_entry_point(point: EntryPoint) -> Candidate:
    distribution = point.dist
    name, number = (distribution.name, distribution.version) if distribution else ("", "")
    return Candidate(point.name, point.value, point.load, name, number)


def _listed(text: str) -> list[Candidate]:
    """The modules of the explicit list; a plugin is named by its package, less the ``scanguard_`` in front."""
    modules = sorted(_names(text))
    return [
        Candidate(module.split(".")[0].removeprefix("scanguard_"), module, partial(import_module, module))
        for module in modules
    ]


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _one_line(exc: BaseException) -> str:
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text[:300]}" if text else type(exc).__name__
