"""What the doctor is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from scanguard.app import AppOptions
from scanguard.doctor.check import AREAS
from scanguard.loader import Plugins, load_plugins
from scanguard.oci.settings import RegistryHost

TIMEOUT_S: Final = 60.0
_HOST: Final[TypeAdapter[str]] = TypeAdapter(RegistryHost)


@dataclass(frozen=True, slots=True)
class Question:
    """Where to look, and for how long.

    Attributes:
        options: As for the application: configuration, data folder, environment, insecure registries.
        registries: Registries to look at besides those of the configuration.
        areas: Which areas to look at.
        timeout_s: Seconds for everything together.
        load: Loads the plugins.
    """

    options: AppOptions
    registries: tuple[str, ...] = ()
    areas: frozenset[str] = frozenset(AREAS)
    timeout_s: float = TIMEOUT_S
    load: Callable[[Mapping[str, str]], Plugins] = load_plugins


def parse_registry(text: str) -> str:
    """A registry's host[:port] as it was typed; ValueError for anything else."""
    return _HOST.validate_python(text)
