"""A scanner that answers what a test tells it to, for tests of what uses scanners.

::

    scanner = ScriptedScanner(ScannerThrottledError("later", retry_after_s=7), scripted_report(image))

For a scanner in a configuration file there is the built-in plugin ``scripted`` (docs/rehearsal.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from scanguard.errors import ScanguardError
from scanguard.hooks import ScanRequest, Ticket
from scanguard.model.finding import Finding
from scanguard.model.image import ResolvedImage
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.testing.samples import NOW

Scripted = ScanReport | Ticket | ScanguardError
"""What one call gives: an answer, or an error that it raises."""


class ScriptedScanner:
    """Gives its answers one after another, whether it is asked to submit or to poll, and the last one for ever.

    Attributes:
        answers: What is answered next.
        found: What ``find`` answers.
        submitted: The requests, in order.
        polled: The tickets asked after, in order.
        is_closed: Whether ``aclose`` was called.
    """

    def __init__(self, *answers: Scripted, found: Ticket | None = None) -> None:
        if not answers:
            raise ValueError("give it at least one answer")
        self.answers = list(answers)
        self.found = found
        self.submitted: list[ScanRequest] = []
        self.polled: list[Ticket] = []
        self.is_closed = False

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """The next answer."""
        self.submitted.append(request)
        return self._next()

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """The next answer."""
        self.polled.append(ticket)
        return self._next()

    async def find(self, request: ScanRequest) -> Ticket | None:
        """What was found."""
        return self.found

    async def info(self) -> ScannerInfo:
        """A tool of its own."""
        return ScannerInfo(tool="scripted", version="1")

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True

    def _next(self) -> ScanReport | Ticket:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ScanguardError):
            raise answer
        return answer


def scripted_report(
    image: ResolvedImage, findings: Sequence[Finding] = (), *, gaps: Sequence[str] = (), at: datetime = NOW
) -> ScanReport:
    """A report about an image: all of it looked at but the ``gaps``, such as ``["PyPI"]``."""
    covered = CoverageItem(subject="everything else" if gaps else "everything", status=CoverageStatus.COVERED)
    missed = (CoverageItem(subject=subject, status=CoverageStatus.NOT_COVERED) for subject in gaps)
    return ScanReport(
        digest=image.digest,
        platform=image.platform,
        scanner=ScannerInfo(tool="scripted", version="1"),
        started_at=at,
        finished_at=at,
        findings=tuple(findings),
        coverage=Coverage(items=(covered, *missed)),
    )
