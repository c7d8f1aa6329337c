"""What a scripted scan says, how long it takes, and how it fails."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from scanguard.hooks import PluginConfig
from scanguard.model.severity import Severity

MAX_FINDINGS: Final = 10_000


class Fault(StrEnum):
    """How a call fails; ``hang`` is an answer that only comes late, ``wrong_digest`` one about another image."""

    UNAVAILABLE = "unavailable"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"
    AUTH = "auth"
    HANG = "hang"
    WRONG_DIGEST = "wrong_digest"


class ScriptedFinding(PluginConfig):
    """One finding; ``package`` is ``name`` or ``name@version``."""

    id: str = Field(min_length=1, max_length=200, description="Id of the vulnerability.")
    severity: Severity = Field(default=Severity.CRITICAL, description="How bad it is.")
    package: str = Field(default="scripted", min_length=1, max_length=500, description="`name` or `name@version`.")


CallName = Literal["submit", "poll", "find"]


class Faults(PluginConfig):
    """How often calls fail by chance, and how."""

    rate: float = Field(default=0.0, ge=0, le=1, description="Share of calls that fail.")
    kinds: tuple[Fault, ...] = Field(
        default=(Fault.UNAVAILABLE,), min_length=1, description="How they fail, each as often as the others."
    )
    calls: tuple[CallName, ...] = Field(default=("submit", "poll", "find"), description="Which calls may fail.")
    retry_after_s: float = Field(default=1.0, ge=0, le=86_400, description="What `throttled` says to wait, seconds.")
    hang_s: float = Field(default=30.0, ge=0, le=86_400, description="How late the answer of `hang` is, seconds.")


class FailingImage(PluginConfig):
    """Images whose every call fails."""

    match: str = Field(min_length=1, max_length=4096, description="Digest or repository, `*` for any text.")
    kind: Literal[
        Fault.UNAVAILABLE, Fault.THROTTLED, Fault.TIMEOUT, Fault.UNREADABLE, Fault.AUTH, Fault.WRONG_DIGEST
    ] = Field(default=Fault.UNAVAILABLE, description="How.")

    def is_meant(self, digest: str, repository: str) -> bool:
        """Whether an image is one of these."""
        return fnmatchcase(digest, self.match) or fnmatchcase(repository, self.match)


class ScriptedConfig(PluginConfig):
    """The script."""

    latency_s: float = Field(
        default=0.0, ge=0, le=86_400, description="How long a scan takes; 0 answers at once, more gives a ticket."
    )
    poll_s: float = Field(default=1.0, gt=0, le=3600, description="How long a ticket says to wait before asking.")
    findings: Annotated[int, Field(ge=0, le=MAX_FINDINGS)] | tuple[ScriptedFinding, ...] = Field(
        default=1, description="What every image has: a list, or only how many."
    )
    coverage: Literal["complete", "gap"] = Field(
        default="complete", description="`gap` says that a part of the image was not looked at."
    )
    faults: Faults = Field(default=Faults(), description="Calls that fail by chance.")
    fail_images: tuple[FailingImage, ...] = Field(default=(), description="Images that always fail.")
    seed: int = Field(default=0, description="Another seed, other failures.")
    journal: Path | None = Field(
        default=None,
        description="File that gets a line for each call, and by which the service remembers scans when processes die.",
    )
