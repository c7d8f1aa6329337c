"""Options of the Trivy scanner."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from scanguard.errors import InvalidReferenceError
from scanguard.hooks import PluginConfig
from scanguard.model.reference import ImageReference
from scanguard.model.secret import SecretRef

MALICIOUS_VERSIONS: Final = ("0.69.4", "0.69.5", "0.69.6")
"""Published in March 2026 by whoever had broken into the project: the release 0.69.4, and images tagged as all three.

https://www.vmfarms.com/blog/trivy-supply-chain/ and
https://chainloop.dev/blog/trivy-supply-chain-attack-best-practices (read in 2026); the last clean one was 0.69.3.
"""
_HOUR_S: Final = 3600


class Look(StrEnum):
    """What to look for."""

    VULNERABILITIES = "vuln"
    SECRETS = "secret"
    MISCONFIGURATIONS = "misconfig"
    LICENCES = "license"


class TrivyConfig(PluginConfig):
    """Which program runs, what it looks for, and where its database comes from."""

    binary: str = Field(
        default="trivy",
        min_length=1,
        description="The program: a name to find on `PATH`, or a path; relative to the configuration file.",
    )
    binary_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="The program's SHA-256. When given, any other file is refused before it is ever run.",
    )
    allowed_versions: tuple[str, ...] = Field(
        default=(),
        description="The only versions that may be used, of the program and of a server. Empty: all that are not "
        "refused. A version that is no release, such as `dev`, has to be named here.",
    )
    refused_versions: tuple[str, ...] = Field(
        default=MALICIOUS_VERSIONS, description="Versions that are never used; by default the malicious releases."
    )
    scanners: frozenset[Look] = Field(
        default=frozenset((Look.VULNERABILITIES, Look.SECRETS)),
        min_length=1,
        description="What to look for: `vuln`, `secret`, `misconfig` (files in the image, and its own configuration), "
        "`license`.",
    )
    pkg_types: frozenset[Literal["os", "library"]] = Field(
        default=frozenset(("os", "library")),
        min_length=1,
        description="Which packages to match: what is left out is reported as not covered.",
    )
    ignore_unfixed: bool = Field(
        default=False,
        description="Leave out vulnerabilities without a fix; coverage becomes partial and says so.",
    )
    detection_priority: Literal["precise", "comprehensive"] = Field(
        default="precise", description="`comprehensive` finds more, and more that is not there."
    )
    server: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/@?#]+(/[^\s?#@]*)?$",
        description="Address of a Trivy server, which then holds the database and matches. Images are still pulled and "
        "taken apart here.",
    )
    server_token: SecretRef | None = Field(default=None, description="The server's token, by reference.")
    server_token_header: str = Field(
        default="Trivy-Token", pattern=r"^[A-Za-z0-9-]{1,64}$", description="The header that carries the token."
    )
    server_timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="Seconds the server may take to say which version and database it has."
    )
    database_repositories: tuple[str, ...] = Field(
        default=("mirror.gcr.io/aquasec/trivy-db:2", "ghcr.io/aquasecurity/trivy-db:2"),
        min_length=1,
        description="Where the vulnerability database is downloaded from, tried in order; name a mirror in a registry "
        "of your own, whose credentials are those that scanguard has for it.",
    )
    java_database_repositories: tuple[str, ...] = Field(
        default=("mirror.gcr.io/aquasec/trivy-java-db:1", "ghcr.io/aquasecurity/trivy-java-db:1"),
        min_length=1,
        description="Likewise the Java database (about 1 GB), which the first image with Java archives needs.",
    )
    update_databases: bool = Field(
        default=True, description="Download databases that are missing or due. Without: only what the cache holds."
    )
    max_database_age_days: float = Field(
        default=7.0,
        gt=0,
        le=3650,
        description="Days after which a vulnerability database is stale: reports stay, coverage becomes partial.",
    )
    offline_scan: bool = Field(
        default=False, description="Ask no service about packages during a scan (`--offline-scan`)."
    )
    cache_dir: Path | None = Field(
        default=None,
        description="Folder that holds one cache for each Trivy that runs at a time, never shared; relative to the "
        "configuration file. Default: `trivy` in the data folder.",
    )
    keep_layers: bool = Field(
        default=False,
        description="Keep what was found in each layer, for images that share layers. The cache grows without limit.",
    )
    work_dir: Path | None = Field(
        default=None,
        description="Folder for what a scan needs while it runs (layers of large images, the report). Default: the "
        "system's folder for temporary files.",
    )
    insecure: bool = Field(
        default=False, description="Let Trivy speak plain http to registries, and accept any certificate."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file with the certificates to trust instead of the system's."
    )
    proxy: SecretRef | None = Field(
        default=None, description="URL of the proxy for Trivy's connections, by reference, for it may hold a password."
    )
    no_proxy: str = Field(default="", description="Hosts that are reached without the proxy, separated by commas.")
    parallel: int = Field(default=5, ge=1, le=64, description="Layers taken apart at a time.")
    max_image_bytes: int | None = Field(
        default=None, ge=1, description="Refuse images of more bytes, uncompressed. Default: no limit."
    )
    timeout_s: float = Field(default=1500.0, gt=0, le=6 * _HOUR_S, description="Seconds one run on an image may take.")
    update_timeout_s: float = Field(
        default=900.0, gt=0, le=2 * _HOUR_S, description="Seconds the download of one database may take."
    )
    version_timeout_s: float = Field(
        default=30.0, gt=0, le=300, description="Seconds the program may take to say its version."
    )
    max_report_bytes: int = Field(
        default=200 * 1024 * 1024, ge=1024, le=2 * 1024**3, description="Bytes of a report that are read."
    )
    max_output_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, le=1024**3, description="Bytes the program may write to its output and log."
    )
    heavy: bool = Field(
        default=True, description="Run on workers of the heavy lane, for images are pulled and taken apart here."
    )

    @field_validator("server")
    @classmethod
    def _no_trailing_slash(cls, url: str | None) -> str | None:
        return url.rstrip("/") if url else url

    @field_validator("database_repositories", "java_database_repositories")
    @classmethod
    def _are_references(cls, repositories: tuple[str, ...]) -> tuple[str, ...]:
        for repository in repositories:
            try:
                ImageReference.parse(repository)
            except InvalidReferenceError as exc:
                raise ValueError(str(exc)) from exc
        return repositories

    @model_validator(mode="after")
    def _server_options(self) -> Self:
        if self.server_token is not None and self.server is None:
            raise ValueError("server_token is given, and no server that it is for")
        return self

    @property
    def matches(self) -> bool:
        """Whether vulnerabilities are looked for, which needs a database."""
        return Look.VULNERABILITIES in self.scanners

    @property
    def step_timeout_s(self) -> float:
        """Most a scan may take in all: one run, downloads of both databases, and what is around them."""
        downloads = 2 * self.update_timeout_s if self.update_databases else 0.0
        return 2 * self.timeout_s + downloads + 4 * self.version_timeout_s
