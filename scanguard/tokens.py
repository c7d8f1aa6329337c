"""Tokens that are drawn once: for etags, receipts and owners of leases. Not for secrets."""

from __future__ import annotations

import itertools
import os
import secrets

_counter = itertools.count()
_prefix = secrets.token_hex(8)


def unique_token() -> str:
    """A text that no other call, here or in another process, ever gives: a random prefix and a number.

    Asking the system for randomness each time would cost more than all the rest of a small write.
    """
    return f"{_prefix}-{next(_counter):x}"


def _renew() -> None:
    global _prefix  # noqa: PLW0603  # a forked child must not go on with its parent's
    _prefix = secrets.token_hex(8)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
