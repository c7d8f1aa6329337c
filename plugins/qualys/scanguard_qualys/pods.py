"""Qualys' platforms and their gateways.

The names are documented for QScanner (docs.qualys.com, QScanner modes); the hosts are a community's table
(github.com/nelssec/qualys-lambda), which is why ``url`` always wins over it. There are platforms that it does not know.
"""

from __future__ import annotations

from typing import Final

_GATEWAYS: Final = {
    "US1": "gateway.qg1.apps.qualys.com",
    "US2": "gateway.qg2.apps.qualys.com",
    "US3": "gateway.qg3.apps.qualys.com",
    "US4": "gateway.qg4.apps.qualys.com",
    "EU1": "gateway.qg1.apps.qualys.eu",
    "EU2": "gateway.qg2.apps.qualys.eu",
    "EU3": "gateway.qg3.apps.qualys.it",
    "IN1": "gateway.qg1.apps.qualys.in",
    "CA1": "gateway.qg1.apps.qualys.ca",
    "AE1": "gateway.qg1.apps.qualys.ae",
    "UK1": "gateway.qg1.apps.qualys.co.uk",
    "AU1": "gateway.qg1.apps.qualys.com.au",
    "KSA1": "gateway.qg1.apps.qualysksa.com",
}
POD_NAMES: Final = tuple(_GATEWAYS)


def gateway_of(pod: str) -> str:
    """The gateway's address; ValueError for a name that is not known, which is never taken for another."""
    host = _GATEWAYS.get(pod.upper())
    if host is None:
        raise ValueError(
            f"no platform is called {pod[:20]!r}: write one of {', '.join(POD_NAMES)}, or its address as url"
        )
    return f"https://{host}"
