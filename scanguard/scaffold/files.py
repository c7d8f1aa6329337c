"""Renders the files of a distribution from templates; pure but for reading them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from scanguard.hooks import API_VERSION
from scanguard.scaffold.names import Kind, Names

if TYPE_CHECKING:
    from jinja2 import Environment

LINE_LENGTH: Final = 120
"""What the generated formatter settings say; an import that is longer is written over several lines."""

_FIRST: Final = ("README.md", "pyproject.toml", "LICENSE", ".gitignore")
_MODULES: Final = {
    Kind.SCANNER: ("plugin", "config", "client", "report", "mapping", "scanner"),
    Kind.SINK: ("plugin", "config", "record", "sink"),
    Kind.NOTIFIER: ("plugin", "config", "message", "notifier"),
    Kind.POLICY: ("plugin", "config", "rules", "policy"),
}
"""Modules in the order they are read: what is offered, what can be configured, then the way through."""
_TESTS: Final = {
    Kind.SCANNER: ("service", "contract", "request", "mapping", "readme"),
    Kind.SINK: ("service", "contract", "request", "record", "readme"),
    Kind.NOTIFIER: ("service", "contract", "request", "message", "readme"),
    Kind.POLICY: ("contract", "rules", "readme"),
}
_SERVICE: Final = "service"


def render_files(names: Names, *, scanguard_version: str | None = None) -> Mapping[str, str]:
    """Every file of the distribution.

    Args:
        names: From :func:`scanguard.scaffold.names.names_for`.
        scanguard_version: The version it is written for; the installed one by default.

    Returns:
        Texts by path below the distribution's folder (with ``/``), in the order they are read.
    """
    requirement = requirement_for(scanguard_version or version("scanguard"))
    environment = _environment()
    facts = {"n": names, "kind": str(names.kind), "requirement": requirement, "api_version": API_VERSION}
    return {
        path: environment.get_template(template).render(facts, modules=_MODULES[names.kind])
        for path, template in _plan(names).items()
    }


def requirement_for(scanguard_version: str) -> str:
    """The range of versions to ask for: up to what may break it (``0.3.1`` → ``scanguard>=0.3,<0.4``)."""
    numbers = re.match(r"(\d+)\.(\d+)", scanguard_version)
    major, minor = map(int, numbers.groups()) if numbers else (0, 1)
    too_new = f"{major + 1}" if major else f"0.{minor + 1}"
    return f"scanguard>={major}.{minor},<{too_new}"


def import_line(module: str, *imported: str) -> str:
    """A ``from … import …`` as formatters write it: over several lines when it does not fit on one."""
    line = f"from {module} import {', '.join(imported)}"
    if len(line) <= LINE_LENGTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in imported), ")"])


def _plan(names: Names) -> Mapping[str, str]:
    """Output path → template, in reading order."""
    own = str(names.kind)
    plan = {name: f"common/{name.lstrip('.')}.jinja" for name in _FIRST}
    plan |= {f"{names.package}/{name}": f"common/package/{name}.jinja" for name in ("__init__.py", "py.typed")}
    plan |= {f"{names.package}/{module}.py": f"{own}/package/{module}.py.jinja" for module in _MODULES[names.kind]}
    return plan | {
        _test_path(names, test): f"{_test_home(own, test)}/checks/{test}.py.jinja" for test in _TESTS[names.kind]
    }


def _test_path(names: Names, test: str) -> str:
    return f"tests/fake_{names.module}.py" if test == _SERVICE else f"tests/test_{names.module}_{test}.py"


def _test_home(own: str, test: str) -> str:
    return "common" if test == "readme" or (test == "contract" and own != Kind.POLICY) else own


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # only who scaffolds pays for it

    environment = Environment(
        loader=PackageLoader("scanguard.scaffold"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # Python, TOML and Markdown; only names of a checked grammar go in
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["import_line"] = import_line
    return environment
