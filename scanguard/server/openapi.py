"""The OpenAPI 3.1 description of the service, built from the models whose JSON it answers."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Final, Literal

from pydantic import Field
from pydantic.json_schema import models_json_schema

from scanguard.app.stored import PRIVATE_KEYS
from scanguard.engine.dead import DeadKind
from scanguard.engine.documents import OutboxItem
from scanguard.model.base import Model
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Verdict
from scanguard.render.json_text import JSON_SCHEMA_VERSION
from scanguard.server.access import KEY_HEADERS, KEY_PARAMETER
from scanguard.server.body import JSON_TYPES
from scanguard.server.dead_letters import DEFAULT_LIMIT, MAX_LIMIT, LetterViews, Replayed, ReplayRequest
from scanguard.server.problems import MEDIA_TYPE
from scanguard.server.verdict_query import VerdictQuery

_REFERENCE: Final = "#/components/schemas/{model}"


class Verdicts(Model):
    """Verdicts, and the merged reports that their images' ``merged`` name."""

    schema_version: Literal[1] = JSON_SCHEMA_VERSION
    verdicts: tuple[Verdict, ...]
    reports: dict[str, MergedReport]


class VerdictPage(Verdicts):
    """A page of verdicts; ``reports`` is filled only with ``vulnerability``."""

    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


class Explanation(Verdicts):
    """A verdict, and what became of each of its deliveries."""

    deliveries: tuple[OutboxItem, ...]


class Acknowledgement(Model):
    """What became of a delivery; everything accepted is durable."""

    accepted: tuple[str, ...] = Field(description="Ids of assessments, one per event.")
    skipped: int = Field(description="Events that say nothing of a deployment.")
    rejected: int = Field(description="Broken events.")
    details: tuple[str, ...] = Field(description="Why, of the first ones.")


class Validation(Model):
    """The answer to Event Grid's handshake."""

    validationResponse: str  # Event Grid's name


class Problem(Model):
    """Why a request is not served (RFC 9457)."""

    type: str = Field(description="`urn:scanguard:problem:` and a name that stays the same.")
    title: str
    status: int
    detail: str


class Probe(Model):
    """Whether the service is up, or ready."""

    status: str


_LETTERS: Final = (LetterViews, ReplayRequest, Replayed)
_MODELS: Final = (*_LETTERS, VerdictPage, Verdicts, Explanation, Acknowledgement, Validation, Problem, Probe)


@cache
def document() -> dict[str, Any]:
    """The description; every route is in it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "scanguard",
            "version": version("scanguard"),
            "description": "Deployment events come in; verdicts are read. New keys may come in answers at any time.",
        },
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": _security_schemes()},
    }


def _paths() -> dict[str, Any]:
    by_id = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 128}}]
    return {
        "/events": {"post": _events(), "options": _handshake()},
        "/healthz": {"get": _probe("health", "Whether the process is up.")},
        "/readyz": {"get": _probe("ready", "Whether events can be taken in.")},
        "/api/v1/verdicts": {
            "get": _read("listVerdicts", "Stored verdicts, newest first.", VerdictPage, _query_parameters())
        },
        "/api/v1/verdicts/{id}": {"get": _read("getVerdict", "A verdict with its reports.", Verdicts, by_id)},
        "/api/v1/verdicts/{id}/explanation": {
            "get": _read("explainVerdict", "A verdict with its reports and deliveries.", Explanation, by_id)
        },
        "/api/v1/dead-letters": {
            "get": _read("listDeadLetters", "What was given up, newest first.", LetterViews, _letter_parameters())
        },
        "/api/v1/dead-letters/replay": {"post": _replay()},
        "/api/v1/dead-letters/{id}": {"get": _read("getDeadLetter", "One dead letter.", LetterViews, by_id)},
        "/api/v1/openapi.json": {
            "get": {
                "operationId": "getDescription",
                "summary": "This description.",
                "security": _secured("key", "entra"),
                "responses": {"200": _answer("The description.", {"type": "object"}), "default": _problem()},
            }
        },
    }


def _letter_parameters() -> list[dict[str, Any]]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return [
        {"name": "kind", "in": "query", "schema": {"enum": list(DeadKind)}},
        {"name": "limit", "in": "query", "schema": limit},
    ]


def _read(name: str, summary: str, model: type[Model], parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "security": _secured("key", "entra"),
        "responses": {"200": _answer(summary, _reference(model)), "default": _problem()},
    }


def _replay() -> dict[str, Any]:
    body = {"application/json": {"schema": _reference(ReplayRequest)}}
    return {
        "operationId": "replayDeadLetters",
        "summary": "Take up again what was given up, each from its start.",
        "security": _secured("key", "entra"),
        "requestBody": {"required": True, "content": body},
        "responses": {"200": _answer("How many.", _reference(Replayed)), "default": _problem()},
    }


def _events() -> dict[str, Any]:
    schema = {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}, "maxItems": 5000}]}
    accepted = {"oneOf": [_reference(Acknowledgement), _reference(Validation)]}
    return {
        "operationId": "sendEvents",
        "summary": "Take events in the Event Grid or the CloudEvents schema in.",
        "security": _secured("key", "eventGridKey", "code", "entra"),
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in sorted(JSON_TYPES)}},
        "responses": {"200": _answer("Every event accepted is durable.", accepted), "default": _problem()},
    }


def _handshake() -> dict[str, Any]:
    return {
        "operationId": "validateWebhook",
        "summary": "The handshake of CloudEvents webhooks.",
        "security": [*_secured("key", "eventGridKey", "code", "entra"), {}],
        "parameters": [{"name": "WebHook-Request-Origin", "in": "header", "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "Whether the sender may deliver.",
                "headers": {
                    "WebHook-Allowed-Origin": {"schema": {"type": "string"}},
                    "WebHook-Allowed-Rate": {"schema": {"type": "string"}},
                },
            },
            "default": _problem(),
        },
    }


def _probe(name: str, summary: str) -> dict[str, Any]:
    answers = {"200": _answer("Yes.", _reference(Probe)), "503": _answer("No.", _reference(Probe))}
    return {"operationId": name, "summary": summary, "security": [], "responses": answers}


def _query_parameters() -> list[dict[str, Any]]:
    properties = VerdictQuery.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "description": schema["description"],
            "schema": {key: value for key, value in schema.items() if key not in ("title", "description")},
        }
        for name, schema in properties.items()
    ]


def _schemas() -> dict[str, Any]:
    _, found = models_json_schema([(model, "serialization") for model in _MODELS], ref_template=_REFERENCE)
    schemas: dict[str, Any] = found["$defs"]
    delivery = schemas[OutboxItem.__name__]
    for key in PRIVATE_KEYS:
        del delivery["properties"][key]
        delivery["required"] = [name for name in delivery.get("required", ()) if name != key]
    return {name: _opened(schema) for name, schema in schemas.items()}


def _opened(schema: Any) -> Any:  # noqa: ANN401  # any JSON
    """Without the promise that no new key will come."""
    if isinstance(schema, list):
        return [_opened(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _opened(value) for key, value in schema.items() if not (key == "additionalProperties" and value is False)
    }


def _security_schemes() -> dict[str, Any]:
    event_grid, ours = KEY_HEADERS
    return {
        "key": {"type": "apiKey", "in": "header", "name": ours},
        "eventGridKey": {"type": "apiKey", "in": "header", "name": event_grid},
        "code": {"type": "apiKey", "in": "query", "name": KEY_PARAMETER},
        "entra": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }


def _secured(*names: str) -> list[dict[str, list[str]]]:
    return [{name: []} for name in names]


def _reference(model: type[Model]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem() -> dict[str, Any]:
    return {"description": "Refused.", "content": {MEDIA_TYPE: {"schema": _reference(Problem)}}}
