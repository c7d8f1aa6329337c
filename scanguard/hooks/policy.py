"""Policies: rules that judge an image."""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from scanguard.hooks.context import PluginConfig, PluginContext

if TYPE_CHECKING:  # records are made without loading what they carry
    from scanguard.model.deployment import Deployment
    from scanguard.model.merged import MergedReport
    from scanguard.model.verdict import ImageVerdict, PolicyDecision


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """One image of a deployment to judge.

    ``merged`` is None when nobody looked (the image could not be resolved, or no scanner finished);
    ``image.scanners`` says why, and names a scanner that failed beside others that did not.
    """

    deployment: Deployment
    image: ImageVerdict
    merged: MergedReport | None
    now: datetime


class Policy(Protocol):
    """Judges an image; pure: the same input gives the same decision."""

    async def evaluate(self, subject: PolicyInput) -> PolicyDecision:
        """Decide, with a reason for every outcome other than pass. Raises PolicyError."""

    async def aclose(self) -> None:
        """Close whatever the policy holds."""


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A policy on offer; ``timeout_s`` bounds one evaluation.

    ``judges_gaps`` says that it decides what gaps in coverage mean. In a chain without such a policy the engine
    does: a gap is ``unknown``.
    """

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Policy]
    description: str = ""
    timeout_s: float = 10.0
    judges_gaps: bool = False
