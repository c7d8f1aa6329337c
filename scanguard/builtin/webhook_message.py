"""A notice as a CloudEvents 1.0 HTTP message: headers and the bytes of the body. Pure.

Specifications: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, and beside it the JSON format
(``formats/json-format.md``) and the HTTP protocol binding (``bindings/http-protocol-binding.md``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scanguard.builtin.webhook_config import WebhookConfig
from scanguard.builtin.webhook_content import build_data, dumps
from scanguard.builtin.webhook_data import DATA_SCHEMA, EVENT_TYPE
from scanguard.hooks import Notice

MAX_SUBJECT: Final = 1024
"""Longest subject once encoded for a header; servers take 8 KiB of headers in all. The data has the whole id."""

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """What is sent; the same for every attempt at the same notice."""

    id: str
    headers: Mapping[str, str]
    body: bytes


def build_message(notice: Notice, config: WebhookConfig) -> WebhookMessage:
    """The message of a notice: as configured, and never longer than ``max_bytes``."""
    attributes = _attributes(notice, config.source)
    if config.mode == "binary":
        headers = {f"ce-{name}": header_text(value) for name, value in attributes.items()}
        headers["Content-Type"] = "application/json"
        return WebhookMessage(attributes["id"], headers, dumps(_data(notice, config, config.max_bytes)))
    envelope: dict[str, Any] = {**attributes, "datacontenttype": "application/json", "data": 0}
    envelope["data"] = _data(notice, config, config.max_bytes - len(dumps(envelope)))
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    return WebhookMessage(attributes["id"], headers, dumps(envelope))


def message_id(key: str) -> str:
    """The notice's key; a hash of one that a signature cannot take (a dot ends the id there) or that is too long."""
    return key if _PLAIN_ID.fullmatch(key) else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def header_text(value: str) -> str:
    """Percent-encode an attribute for a header (HTTP protocol binding, section 3.1.3.2)."""
    return "".join(map(_encoded, value))


def _attributes(notice: Notice, source: str) -> dict[str, str]:
    verdict = notice.verdict
    return {
        "specversion": "1.0",
        "id": message_id(notice.key),
        "source": source,
        "type": EVENT_TYPE,
        "subject": _subject(verdict.deployment.resource_id),
        "time": verdict.decided_at.isoformat().replace("+00:00", "Z"),
        "dataschema": DATA_SCHEMA,
    }


def _data(notice: Notice, config: WebhookConfig, max_bytes: int) -> dict[str, Any]:
    return build_data(notice, detail=config.detail, max_findings=config.max_findings, max_bytes=max_bytes)


def _subject(resource_id: str) -> str:
    length = 0
    for position, character in enumerate(resource_id):
        length += len(_encoded(character))
        if length > MAX_SUBJECT:
            return resource_id[:position]
    return resource_id


def _encoded(character: str) -> str:
    if "!" <= character <= "~" and character not in '"%':
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
