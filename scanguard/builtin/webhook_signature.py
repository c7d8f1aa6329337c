"""Standard Webhooks 1.0.0: secrets and signatures. Pure.

Specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
The ``standardwebhooks`` package signs too, with one secret at a time (a rotation needs several), and would be a
dependency of every installation for the few lines below. The tests verify with it what is signed here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64


def signing_key(secret: str) -> bytes:
    """The key inside ``whsec_<base64>``; ValueError, without the secret, when it is none."""
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # some generators leave the padding out
    except (binascii.Error, ValueError):
        raise ValueError(f"it is not {PREFIX} and base64") from None
    if not secret.startswith(PREFIX):
        raise ValueError(f"it does not start with {PREFIX}")
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"its base64 holds {len(key)} bytes, where {MIN_KEY_BYTES} to {MAX_KEY_BYTES} are right")
    return key


def signature_headers(message_id: str, sent_at: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Headers for one attempt: the id stays over retries, the time (whole Unix seconds) is of the attempt.

    Each key gives one signature, separated by spaces: a receiver accepts the message when it knows any of them.
    Without keys there is no ``webhook-signature``.
    """
    timestamp = str(int(sent_at.timestamp()))
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
    if keys:
        signed = f"{message_id}.{timestamp}.".encode() + body
        digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
        headers["webhook-signature"] = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return headers
