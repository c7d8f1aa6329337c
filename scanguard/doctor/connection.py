"""Why no connection came about, and what to do: name, network, certificate, time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from scanguard import http
from scanguard.errors import AddressRefusedError

_MOST: Final = 50
_THE_WAY: Final = "check the way to it: firewall, private endpoint, or a proxy, which scanguard does not use"

Trouble = tuple[str, str]
"""What is wrong, and what to do about it."""


def trouble_of(error: BaseException, timeout_s: float) -> Trouble:
    """Look behind the HTTP library's exception for what the operating system or TLS said."""
    causes = list(_causes(error))
    known = next((trouble for cause in causes if (trouble := _known(cause)) is not None), None)
    if known is not None:
        return known
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return (
            "it does not speak TLS as expected",
            "list it under registries.insecure (--insecure-registry HOST), if plain http is right",
        )
    if any(isinstance(cause, http.TimeoutException | TimeoutError) for cause in causes):
        return f"it does not answer within {timeout_s:g} s", _THE_WAY
    return f"no connection came about: {http.redact_text(str(error)) or type(error).__name__}", _THE_WAY


def _known(cause: BaseException) -> Trouble | None:
    match cause:
        case AddressRefusedError():
            return cause.message, (
                "list the host under registries.allow_private (or registries.insecure, for one without TLS), if a "
                "registry on this machine or in a private network is meant"
            )
        case ssl.SSLCertVerificationError():
            return _certificate(cause)
        case socket.gaierror():
            return "its name cannot be looked up (DNS)", "check the name, and the name servers of this machine"
        case ConnectionRefusedError():
            return "it refuses the connection", "check host and port, and that the registry is running"
        case _:
            return None


def _certificate(error: ssl.SSLCertVerificationError) -> Trouble:
    said = error.verify_message or "it cannot be verified"
    if "expired" in said or "not yet valid" in said:
        remedy = "renew the registry's certificate, unless this machine's clock is wrong (see the area `clock`)"
    elif "mismatch" in said or "not valid for" in said:
        remedy = "use the name that the certificate is for, or give the registry a certificate for this one"
    else:
        remedy = "set registries.ca_file to the certificate (PEM) of the authority that signed it, if that is your own"
    return f"its certificate is not accepted: {http.redact_text(said)}", remedy


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and the members of groups on the way."""
    pending, seen = [error], 0
    while pending and seen < _MOST:
        current = pending.pop(0)
        seen += 1
        yield current
        if isinstance(current, BaseExceptionGroup):
            pending += current.exceptions
        pending += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
