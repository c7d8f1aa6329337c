"""The promises, each a pure question to the evidence; its answer is a sentence for each time it was broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scanguard.builtin.scripted_memory import Result
from scanguard.engine.documents import AssessmentState, OutboxState
from scanguard.model.verdict import ImageVerdict, Outcome, Verdict
from soaking.evidence import Evidence
from soaking.submissions import double_submissions, is_refusal

Question = Callable[[Evidence], Iterator[str]]


@dataclass(frozen=True)
class Promise:
    """One promise, and how it was broken; kept when ``broken`` is empty."""

    name: str
    broken: Sequence[str]


def check(evidence: Evidence) -> Sequence[Promise]:
    """Ask every question."""
    return [Promise(name, [*question(evidence)]) for name, question in PROMISES.items()]


def nothing_is_lost(evidence: Evidence) -> Iterator[str]:
    """Every event that was accepted has an assessment that ended in a verdict; nothing here makes a dead letter."""
    missing = set(evidence.expected) - set(evidence.accepted.values())
    yield from (f"the event of {resource} was not accepted" for resource in sorted(missing))
    for id, resource in evidence.accepted.items():
        assessment = evidence.assessments.get(id)
        if assessment is None:
            yield f"{resource} was accepted, and there is no assessment"
        elif assessment.state is AssessmentState.DEAD:
            yield f"{resource} is a dead letter: {assessment.error}"
        elif assessment.state is not AssessmentState.DONE:
            yield f"{resource} is still {assessment.state}"
        elif id not in evidence.verdicts:
            yield f"{resource} is done, and there is no verdict"


def every_deployment_is_judged(evidence: Evidence) -> Iterator[str]:
    """The record is of the deployment of the event, on the digests that it runs, in the revision that was finished."""
    for id, verdict in evidence.verdicts.items():
        resource = verdict.deployment.resource_id
        if resource != evidence.accepted.get(id):
            yield f"there is a verdict on {resource} for the event of {evidence.accepted.get(id, 'nobody')}"
            continue
        digests = tuple(image.image.digest if image.image else image.error for image in verdict.images)
        if digests != evidence.expected[resource]:
            yield f"{resource} runs {evidence.expected[resource]}, and {digests} was judged"
        assessment = evidence.assessments.get(id)
        if assessment is not None and assessment.revision != verdict.revision:
            yield f"{resource}: revision {assessment.revision} was finished, and {verdict.revision} is recorded"


def nothing_is_falsely_clean(evidence: Evidence) -> Iterator[str]:
    """Every image has a critical finding: a verdict is ``fail`` where the scanner answered, else ``unknown``."""
    answered = {call.digest for call in evidence.calls if call.result is Result.ANSWERED}
    refused = {call.digest for call in evidence.calls if is_refusal(call)}
    for verdict in evidence.verdicts.values():
        if verdict.outcome is not Outcome.worst(image.outcome for image in verdict.images):
            yield f"{_about(verdict)} is {verdict.outcome}, which its images are not"
        for image in verdict.images:
            digest = image.image.digest if image.image else ""
            wrong = _wrong(image, digest in answered, digest in refused, digest in evidence.failing)
            if wrong:
                yield f"{_about(verdict)}: {digest[:19]}… is {image.outcome}, {wrong}"


def _wrong(image: ImageVerdict, is_answered: bool, is_refused: bool, always_fails: bool) -> str:
    match image.outcome:
        case Outcome.FAIL if not is_answered or always_fails:
            return "and the scanner never answered"
        case Outcome.FAIL if image.counts.get("CRITICAL") != 1:  # type: ignore[call-overload]  # a Severity is a str
            return f"on other findings than the scanner's: {dict(image.counts)}"
        case Outcome.UNKNOWN if not is_refused:
            return "and no call for it failed"
        case Outcome.FAIL | Outcome.UNKNOWN:
            return ""
        case _:
            return "and the scanner finds something in every image"


def records_are_copied(evidence: Evidence) -> Iterator[str]:
    """The sink holds each record's last revision, once for each image name, word for word."""
    copies: dict[tuple[str, int], list[str]] = defaultdict(list)
    for copy in evidence.copies:
        record = evidence.verdicts.get(copy.verdict.id)
        copies[copy.verdict.id, copy.verdict.revision].append(copy.image)
        if record is None or copy.verdict.revision > record.revision:
            yield f"a copy of {copy.verdict.id}, revision {copy.verdict.revision}, has no record"
        elif copy.verdict.revision == record.revision and copy.verdict != record:
            yield f"the copy of {_about(record)} says something else than the record"
    for id, verdict in evidence.verdicts.items():
        if sorted(copies[id, verdict.revision]) != sorted({image.name for image in verdict.images}):
            yield f"{_about(verdict)}: {len(copies[id, verdict.revision])} copies of revision {verdict.revision}"


def everybody_is_told(evidence: Evidence) -> Iterator[str]:
    """A notice of the last revision of every verdict, with its outcome, at least once."""
    told = {(one["id"], one["revision"], one["outcome"]) for one in evidence.notices}
    for id, verdict in evidence.verdicts.items():
        if (id, verdict.revision, verdict.outcome.value) not in told:
            yield f"nobody was told of {_about(verdict)}, revision {verdict.revision}"
    unknown = {one["id"] for one in evidence.notices} - set(evidence.verdicts)
    yield from (f"a notice was sent of {id}, which has no record" for id in sorted(unknown))


def deliveries_are_done(evidence: Evidence) -> Iterator[str]:
    """Nothing in the outbox is open or given up."""
    for id, items in evidence.outbox.items():
        for item in items:
            if item.state not in (OutboxState.DONE, OutboxState.OVERTAKEN):
                yield f"{item.kind} {item.instance} of {id} is {item.state}: {item.error}"


def one_scan_at_a_time(evidence: Evidence) -> Iterator[str]:
    """No digest was submitted while it was being scanned, or was already."""
    yield from double_submissions(evidence.calls)


def nothing_is_left_open(evidence: Evidence) -> Iterator[str]:
    """No message, and no row that somebody must look at."""
    if evidence.has_messages:
        yield "the queue is not empty"
    yield from (f"{row} is open" for row in evidence.open_rows)


def the_database_is_whole(evidence: Evidence) -> Iterator[str]:
    """SQLite finds no fault in its file."""
    if evidence.database != "ok":
        yield evidence.database


def processes_behave(evidence: Evidence) -> Iterator[str]:
    """No worker ends but by a kill or when told to."""
    yield from evidence.complaints


PROMISES: Mapping[str, Question] = {
    "nothing accepted is lost": nothing_is_lost,
    "every deployment is judged": every_deployment_is_judged,
    "nothing is falsely clean": nothing_is_falsely_clean,
    "records are in the sink": records_are_copied,
    "every last revision is told": everybody_is_told,
    "every delivery is done": deliveries_are_done,
    "one scan at a time": one_scan_at_a_time,
    "nothing is left open": nothing_is_left_open,
    "the database is whole": the_database_is_whole,
    "processes behave": processes_behave,
}


def repeats(evidence: Evidence) -> int:
    """Notices that were told more than once."""
    told = Counter(one["key"] for one in evidence.notices)
    return sum(count - 1 for count in told.values())


def _about(verdict: Verdict) -> str:
    return f"the verdict on {verdict.deployment.resource_id.rpartition('/')[2]}"
