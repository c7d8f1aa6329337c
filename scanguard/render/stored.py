"""A verdict as sinks keep it: one JSON document for each image, the same wherever it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from scanguard.hooks import Notice
from scanguard.model.base import Model
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Verdict


class StoredResult(Model):
    """The verdict on a deployment, and what was found in one image of it (None when nobody reported)."""

    schema_version: Literal[1] = 1
    key: str
    image: str
    verdict: Verdict
    report: MergedReport | None


def results_of(notice: Notice, named: Callable[[str], str] = str) -> Iterator[StoredResult]:
    """One result for each image name of the verdict; one for the deployment itself when it names no image.

    ``named`` says what name an image goes by: names that it makes equal are one image.
    """
    verdict = notice.verdict
    reports: dict[str, MergedReport | None] = {}
    for image in verdict.images:
        name = named(image.name)
        report = notice.reports.get(image.merged) if image.merged else None
        reports[name] = reports.get(name) or report
    for name, report in (reports or {verdict.deployment.resource_id: None}).items():
        yield StoredResult(key=notice.key, image=name, verdict=verdict, report=report)
