"""What the service answers: only the fields that are used, each within limits."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

Text = Annotated[str, StringConstraints(max_length=500)]


class Vulnerability(BaseModel):
    """One vulnerability in one package."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    aliases: tuple[Text, ...] = ()
    purl: Text
    name: Text
    version: Text
    ecosystem: Text
    rating: Text
    score: float | None = Field(default=None, ge=0, le=10)
    vector: Text = ""
    fixed_in: tuple[Text, ...] = ()
    title: Text = ""


class Examined(BaseModel):
    """One part of the image that was looked at; ``complete`` is False where something of it was not."""

    subject: Text
    packages: int = Field(ge=0)
    complete: bool
    note: Text = ""


class Report(BaseModel):
    """What a finished scan found; another schema is refused rather than misread."""

    schema_version: Literal[1]
    digest: Text
    engine: Text
    database_updated_at: AwareDatetime
    examined: tuple[Examined, ...] = Field(max_length=1_000)
    vulnerabilities: tuple[Vulnerability, ...] = Field(max_length=100_000)


class Scan(BaseModel):
    """Where a scan stands. The id becomes part of addresses, so its grammar is checked."""

    scan: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    state: Literal["queued", "running", "done", "failed"]
    reason: Text = ""
    report: Report | None = None


class ScanList(BaseModel):
    """Scans with one key, the newest last."""

    scans: tuple[Scan, ...] = Field(max_length=1_000)
