"""Answers that need no service: JSON, and problems in the form that the service uses (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import azure.functions as func

HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def answer(status: int, document: Mapping[str, Any], mimetype: str = "application/json") -> func.HttpResponse:
    """A JSON document."""
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype=mimetype, headers=dict(HEADERS))


def problem(status: int, kind: str, detail: str) -> func.HttpResponse:
    """Why a request is not served."""
    document = {
        "type": f"urn:scanguard:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return answer(status, document, "application/problem+json")
