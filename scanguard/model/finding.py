"""What scanners find: vulnerabilities, compliance checks, secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pydantic import Field, JsonValue

from scanguard.model.base import Digest, Instant, Model
from scanguard.model.severity import Severity


class Package(Model):
    """An installed package. ``purl`` is its package URL with the version; ``path`` and ``layer`` say where.

    ``source_name`` and ``source_version`` name the source package that distributions key advisories by.
    """

    purl: str
    name: str
    version: str
    ecosystem: str
    source_name: str | None = None
    source_version: str | None = None
    path: str | None = None
    layer: Digest | None = None


class Cvss(Model):
    """One CVSS rating: ``version`` such as ``3.1``, the vector, and its base score (0.0 to 10.0)."""

    version: str
    vector: str
    score: float | None = Field(default=None, ge=0, le=10)
    source: str = ""


class Epss(Model):
    """FIRST's exploit prediction: probability and percentile, both 0 to 1, on ``date``."""

    score: float = Field(ge=0, le=1)
    percentile: float = Field(ge=0, le=1)
    date: date


class Kev(Model):
    """An entry of CISA's catalogue of known exploited vulnerabilities."""

    added: date
    due: date | None = None
    ransomware: bool = False


class Finding(Model):
    """One vulnerability in one package.

    ``id`` is the advisory's own id; ``aliases`` are other ids of the *same* vulnerability (CVE, GHSA …), never
    of a bundle. ``fixed_versions`` is empty when no fix is known. ``vendor`` keeps the scanner's own words.
    """

    id: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    package: Package
    fixed_versions: tuple[str, ...] = ()
    severity: Severity = Severity.UNKNOWN
    severity_source: str = ""
    cvss: tuple[Cvss, ...] = ()
    title: str = ""
    references: tuple[str, ...] = ()
    published: Instant | None = None
    modified: Instant | None = None
    epss: Epss | None = None
    kev: Kev | None = None
    informational: bool = False
    """The scanner tells it for information only: shown and kept, never a reason to fail or to warn."""
    exempted: bool = False
    """Excepted in the scanner's own console; counts all the same, unless a policy honours that."""
    vendor: Mapping[str, JsonValue] = {}

    @property
    def is_fixable(self) -> bool:
        """Whether a version without the vulnerability is known."""
        return bool(self.fixed_versions)

    @property
    def ids(self) -> frozenset[str]:
        """The id and its aliases."""
        return frozenset((self.id, *self.aliases))


class ComplianceCheck(Model):
    """One check of a benchmark; ``passed`` is None when the scanner could not decide."""

    id: str
    title: str = ""
    passed: bool | None
    severity: Severity = Severity.UNKNOWN
    detail: str = ""
    vendor: Mapping[str, JsonValue] = {}


class SecretFinding(Model):
    """A credential left in an image: the rule and the place, never the secret itself."""

    rule: str
    title: str = ""
    severity: Severity = Severity.UNKNOWN
    path: str
    line: int | None = None
    layer: Digest | None = None
