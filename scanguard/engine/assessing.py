"""Small pure parts of an assessment's steps."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import ValidationError

from scanguard.engine.documents import Assessment, AssessmentState, ImageState, assessment_id
from scanguard.engine.store import Stored
from scanguard.errors import (
    BackendError,
    EventError,
    PlatformError,
    PlatformForbiddenError,
    PlatformThrottledError,
    RegistryAuthError,
    RegistryThrottledError,
    ScanguardError,
)
from scanguard.model.deployment import Container, Deployment, Event
from scanguard.ports import Message, Outgoing
from scanguard.telemetry.traces import current_traceparent

NO_ERROR: Final[dict[str, object]] = {"attempts": 0, "error": "", "error_kind": ""}


Step = tuple[Stored[Assessment] | None, list[Outgoing]]
"""Where an assessment is after a step (None when it waits or is over), and the messages to send."""
CLOSED: Final = "closed: the deployment is gone"


def nobody_knows(resource_id: str) -> PlatformError:
    """No platform that is configured knows the resource, or ever did."""
    return PlatformError(
        f"no configured platform knows {resource_id}: it is gone, or describe it to one "
        "(for the static platform, in its file) and feed the event again"
    )


def ended(assessment: Assessment) -> Assessment:
    """The assessment when its verdict is published; of one that could not be read a dead letter remains, to replay."""
    if not assessment.unread:
        return assessment.model_copy(update={"state": AssessmentState.DONE})
    said = {"error": assessment.unread, "error_kind": PlatformForbiddenError.__name__}
    return assessment.model_copy(update={"state": AssessmentState.DEAD, **said})


def assessment_of(message: Message, now: datetime) -> Assessment:
    """A new assessment of an intake message's event. Raises EventError when the message does not carry it."""
    try:
        event = Event.model_validate(message.body.get("event"))
    except ValidationError as exc:
        raise EventError(f"the intake message {message.id} holds no event", target=message.id) from exc
    if assessment_id(event) != message.id:
        raise EventError(f"the intake message {message.id} does not carry its event", target=message.id)
    force = message.body.get("force") is True
    trace = message.traceparent or current_traceparent()
    return Assessment(id=message.id, event=event, lane=message.lane, force=force, created_at=now, traceparent=trace)


def once(messages: list[Outgoing]) -> list[Outgoing]:
    """Each message once, though two steps asked for it."""
    return list({(out.message.kind, out.message.id, out.not_before): out for out in messages}.values())


def noted(error: ScanguardError) -> dict[str, str]:
    """An error, as documents keep it."""
    return {"error": error.message, "error_kind": type(error).__name__}


def image_state(container: Container) -> ImageState:
    """A container's image before anything is known of it."""
    return ImageState(container=container.name, init=container.init, name=container.image)


def given_up(image: ImageState, error: ScanguardError | None) -> ImageState:
    """The image with the error for which it was given up."""
    return image if error is None or image.is_settled else image.model_copy(update=noted(error))


def with_login(error: ScanguardError, deployment: Deployment) -> ScanguardError:
    """A registry's refusal says how the workload itself logs in there: that is the credential missing here."""
    how = deployment.registries.get(error.target or "") if isinstance(error, RegistryAuthError) else None
    if how is None:
        return error
    text = f"{error.message}; the workload logs in to {error.target} {how}: scanguard needs a credential of its own"
    return RegistryAuthError(text, plugin=error.plugin, target=error.target)


def longest(errors: list[ScanguardError]) -> ScanguardError:
    """The error that asks for the longest wait; throttling first, so that waiting for it uses up no attempt."""
    return max(errors, key=lambda error: (is_throttling(error), error.retry_after_s or 0.0))


def is_throttling(error: ScanguardError) -> bool:
    """Whether a registry or platform asked to slow down, which costs no attempt."""
    return isinstance(error, RegistryThrottledError | PlatformThrottledError)


def deployment_of(assessment: Assessment) -> Deployment:
    """What was described; it is there in every state after the first."""
    if assessment.deployment is None:
        raise BackendError(f"assessment {assessment.id} has no deployment; the store is damaged")
    return assessment.deployment


def deadline_of(assessment: Assessment) -> datetime:
    """When the assessment is judged with what is there."""
    if assessment.deadline is None:
        raise BackendError(f"assessment {assessment.id} has no deadline; the store is damaged")
    return assessment.deadline
