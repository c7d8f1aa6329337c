"""What the simulator is to do: one document, which tests build and users write as YAML."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from scanguard.model.base import Model
from scanguard.model.rate import RateText


class Limit(Model):
    """So many requests in any window; one more is refused as that family of the vendor's APIs does it.

    ``gateway``: 429 with ``X-RateLimit-*``. ``classic``: 409 with ``X-RateLimit-ToWait-Sec``.
    """

    rate: RateText = Field(description="Such as `300/h` or `30/m`.")
    style: Literal["gateway", "classic"] = Field(default="gateway", description="How a refusal looks.")
    path: str = Field(default="*", description="The paths it holds for, with `*`.")


class FaultKind(StrEnum):
    """How an answer goes wrong."""

    STATUS = "status"
    HANG = "hang"
    SLOW = "slow"
    RESET = "reset"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    HTML = "html"
    ERROR_BODY = "error_body"
    LOST = "lost"


class Fault(Model):
    """Some answers go wrong.

    ``lost`` does what was asked and resets the connection instead of answering; every other kind does nothing.
    """

    kind: FaultKind = Field(description="How.")
    path: str = Field(default="*", description="The paths it holds for, with `*`.")
    method: str = Field(default="*", description="The methods it holds for.")
    status: int = Field(default=503, ge=400, le=599, description="The status, for `status`.")
    probability: float = Field(default=1.0, ge=0, le=1, description="How often.")
    after: int = Field(default=0, ge=0, description="Matching requests that go well first.")
    times: int | None = Field(default=None, ge=1, description="Most times; without it there is no end.")
    delay_s: float = Field(default=1.0, ge=0, le=3600, description="Simulated seconds, for `slow`.")


class SimulatedImage(Model):
    """An image that behaves in its own way; what is left out is as for any image."""

    digest: str = Field(default="", description="The manifest's digest, `sha256:…`, or its hex digits.")
    config: str = Field(default="", description="The config's digest: what Qualys knows an image by.")
    latency_s: float | None = Field(default=None, ge=0, description="Simulated seconds until its result is there.")
    outcome: Literal["done", "failed", "never"] = Field(default="done", description="What becomes of its scan.")
    findings: int | None = Field(default=None, ge=0, le=100_000, description="How many QIDs.")
    operating_system: str | None = Field(default=None, description="As Qualys writes it, such as `Ubuntu Linux 22.04`.")


class Scenario(Model):
    """The account, its images, its limits, and what goes wrong."""

    username: str = Field(default="sim-user", description="Accepted user name.")
    password: str = Field(default="sim-password", description="Accepted password.")
    token_life_s: float = Field(default=4 * 3600, gt=0, description="Simulated seconds until a token expires.")
    latency_s: float = Field(default=180.0, ge=0, description="Simulated seconds from a scan's start to its result.")
    latency_spread: float = Field(default=0.0, ge=0, le=1, description="Part of it that differs between images.")
    findings: int = Field(default=8, ge=0, le=100_000, description="QIDs of an image that says nothing else.")
    operating_system: str = Field(default="Ubuntu Linux 22.04", description="Operating system of those images.")
    images: tuple[SimulatedImage, ...] = Field(default=(), description="Images that behave in their own way.")
    any_image: bool = Field(default=True, description="Whether an image that is not listed is known.")
    registries: tuple[str, ...] = Field(default=("1",), description="Ids of registered registries.")
    names_digest: bool = Field(default=True, description="Whether results say which digest they are about.")
    pages: bool = Field(default=True, description="Whether vulnerabilities come in pages, or all at once.")
    limits: tuple[Limit, ...] = Field(default=(), description="Every one of them holds.")
    faults: tuple[Fault, ...] = Field(default=(), description="The first that matches goes wrong.")
    seed: int = Field(default=0, description="Findings, latencies and faults follow from it.")
    speed: float = Field(
        default=1.0, ge=0.01, le=100_000, description="How much faster simulated time goes: latencies, limits, tokens."
    )
