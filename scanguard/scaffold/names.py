"""From the name of a plugin to the names of everything around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import scanguard
from scanguard.errors import PluginError
from scanguard.loader import LEGAL_NAME

MAX_CLASS_CHARS: Final = 30
"""Longest beginning of a class name; a name of 63 characters would make every line too long."""
_SUFFIXES: Final = ("Config", "Client", "Report", "Vulnerability", "Scanner", "Sink", "Notifier", "Policy")


class Kind(StrEnum):
    """What can be scaffolded."""

    SCANNER = "scanner"
    SINK = "sink"
    NOTIFIER = "notifier"
    POLICY = "policy"


_PREFIXES: Final = {Kind.SCANNER: "", Kind.SINK: "sink-", Kind.NOTIFIER: "notify-", Kind.POLICY: "policy-"}


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a distribution with one plugin uses.

    Attributes:
        kind: What the plugin is.
        plugin: Its name, as chains and ``scanguard plugins`` write it.
        distribution: What people install: ``scanguard-acme``, ``scanguard-notify-acme`` …; also its folder.
        package: What is imported, such as ``scanguard_acme``.
        prefix: How its classes begin, such as ``Acme``; never so that one hides a class of scanguard.
        title: The name as prose writes it.
        module: The name as part of a Python name, such as ``acme``.
    """

    kind: Kind
    plugin: str
    distribution: str
    package: str
    prefix: str
    title: str
    module: str

    @property
    def variable(self) -> str:
        """How its environment variables begin, such as ``ACME``."""
        return self.module.upper()

    @property
    def hook(self) -> str:
        """The hook that offers it."""
        return "scanguard_policies" if self.kind is Kind.POLICY else f"scanguard_{self.kind}s"


def names_for(kind: Kind, plugin: str) -> Names:
    """Derive every name.

    Raises:
        PluginError: ``plugin`` is no legal name of a plugin.
    """
    if not LEGAL_NAME.fullmatch(plugin):
        raise PluginError(
            f"{plugin[:80]!r} is no name for a plugin: a small letter first, then small letters, digits, - and _, "
            "63 characters at most, such as acme or acme-cloud",
            target=plugin[:80],
        )
    words = re.findall(r"[a-z0-9]+", plugin)
    distribution = f"scanguard-{_PREFIXES[kind]}{'-'.join(words)}"
    return Names(
        kind=kind,
        plugin=plugin,
        distribution=distribution,
        package=distribution.replace("-", "_"),
        prefix=_class_prefix(words),
        title=" ".join(words).capitalize(),
        module="_".join(words),
    )


def _class_prefix(words: list[str]) -> str:
    prefix = "".join(word.capitalize() for word in words)[:MAX_CLASS_CHARS]
    hides = any(f"{prefix}{suffix}" in scanguard.__all__ for suffix in _SUFFIXES)
    return f"My{prefix}"[:MAX_CLASS_CHARS] if hides else prefix
