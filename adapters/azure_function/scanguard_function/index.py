"""What has to be known of a configuration to say which functions there are; and a stamp that saves looking at it.

To check a configuration costs a cold start more than all the rest. What was checked when the package was made, with
exactly these inputs and exactly this code, is not checked again: ``make package`` leaves a stamp, and any other input
(another file, another ``SCANGUARD_…`` setting) makes it void.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scanguard.settings.schema import Settings

FILE_NAME: Final = "scanguard.yaml"
STAMP_NAME: Final = "scanguard.stamp.json"
LANES_VARIABLE: Final = "SCANGUARD_LANES"
SCHEDULE_VARIABLE: Final = "SCANGUARD_SWEEP_SCHEDULE"
QUEUE_PREFIX: Final = "scanguard-"
"""As the backend ``azure_storage`` names its queues unless it is told otherwise."""
_OF_NO_ACCOUNT: Final = frozenset({LANES_VARIABLE, SCHEDULE_VARIABLE, "SCANGUARD_DATA_DIR"})


@dataclass(frozen=True, slots=True)
class Index:
    """Of a configuration that can be used.

    Attributes:
        queue_prefix: What its queues are named by; the lane follows.
        serves_http: It says who may ask, so that HTTP can be served.
        excluded: Resources whose events are ignored.
        own_actors: Identities whose changes are ours, and ignored too.
    """

    queue_prefix: str
    serves_http: bool
    excluded: tuple[str, ...] = ()
    own_actors: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Index:
        """By the settings."""
        options = settings.backend.options if settings.backend else {}
        prefix = str(options.get("queue_prefix", QUEUE_PREFIX))
        return cls(prefix, not settings.server.is_open, settings.exclude, settings.ignore_actors)


def write_stamp(folder: Path, environ: Mapping[str, str], index: Index) -> None:
    """Note that the packaged configuration was checked together with these settings."""
    told = {"inputs": _inputs(folder, environ), **asdict(index)}
    (folder / STAMP_NAME).write_text(json.dumps(told), encoding="utf-8")


def stamped(folder: Path, environ: Mapping[str, str]) -> Index | None:
    """The index, when exactly these inputs were checked before; None when nobody knows, or the stamp is damaged."""
    try:
        told = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
        if told.pop("inputs") == _inputs(folder, environ):
            return Index(told["queue_prefix"], told["serves_http"], tuple(told["excluded"]), tuple(told["own_actors"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return None


def _inputs(folder: Path, environ: Mapping[str, str]) -> str:
    settings = {name: value for name, value in environ.items() if name.startswith("SCANGUARD_")}
    ours = sorted((name, value) for name, value in settings.items() if name not in _OF_NO_ACCOUNT)
    return hashlib.sha256(json.dumps(ours).encode() + (folder / FILE_NAME).read_bytes()).hexdigest()
