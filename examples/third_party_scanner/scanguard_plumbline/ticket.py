"""What the engine keeps while a scan goes on elsewhere: enough to find it and to write its report, no secret."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, StringConstraints, ValidationError
from scanguard import Platform, ScannerOutputError, ScanRequest, Ticket


class PlumblineTicket(BaseModel):
    """A scan at the service, and the image it was asked for."""

    scan: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    digest: str
    platform: Platform
    started_at: AwareDatetime

    @classmethod
    def for_request(cls, scan: str, request: ScanRequest, started_at: datetime) -> Self:
        """A scan that was just submitted, or found again."""
        return cls(scan=scan, digest=request.image.digest, platform=request.image.platform, started_at=started_at)

    @classmethod
    def read(cls, ticket: Ticket) -> Self:
        """Read what the engine kept; raises ScannerOutputError on what another version may have written."""
        try:
            return cls.model_validate(ticket.value)
        except ValidationError as exc:
            raise ScannerOutputError("the ticket of this scan cannot be read: scan again") from exc

    def to_ticket(self, now: datetime, wait_s: float) -> Ticket:
        """For the engine: ask again in ``wait_s`` seconds."""
        return Ticket(value=self.model_dump(mode="json"), not_before=now + timedelta(seconds=wait_s))
