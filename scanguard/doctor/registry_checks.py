"""Area ``registries``: each is reached, its certificate is good, and it takes our credentials.

Asked is what ``docker login`` asks: ``GET /v2/``, and a token without any repository where the registry wants one
(https://distribution.github.io/distribution/spec/auth/token/). No image is named and nothing is read.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from scanguard import http
from scanguard.doctor.check import Check, fail, ok, warn
from scanguard.doctor.connection import trouble_of
from scanguard.doctor.host import DoctorHost
from scanguard.doctor.registry_login import Login, log_in
from scanguard.doctor.remedies import remedy_for
from scanguard.errors import AddressRefusedError, ScanguardError
from scanguard.oci.hosts import Endpoint
from scanguard.oci.names import canonical_registry
from scanguard.oci.settings import RegistrySettings

if TYPE_CHECKING:
    from scanguard.http import AsyncClient, Response

AREA: Final = "registries"
ANSWER_TIMEOUT_S: Final = 10.0
CERTIFICATE_DAYS: Final = 14
"""A certificate that ends sooner is told."""


def named_registries(settings: RegistrySettings, asked: Sequence[str]) -> tuple[str, ...]:
    """Registries that the configuration or the command line names; patterns and networks name none."""
    private = settings.allow_private if isinstance(settings.allow_private, tuple) else ()
    named = (
        *asked,
        *settings.insecure,
        *settings.realms,
        *settings.credentials,
        *(name for name in settings.allowed or () if not set(name) & set("*?[")),
        *(name for name in private if "/" not in name),
    )
    return tuple(dict.fromkeys(canonical_registry(name) for name in named))


async def check_registry(make: Callable[[], DoctorHost], registry: str) -> list[Check]:
    """Reach one, and log in."""
    host = make()
    timeout_s = min(ANSWER_TIMEOUT_S, host.registries.timeout_s)
    try:
        endpoint = Endpoint.of(registry, host.registries)
        client = host.watching.client(
            timeout_s=timeout_s, ca_file=host.registries.ca_file, addresses=host.registries.addresses(), attempts=1
        )
        async with client:
            return await _ask(client, endpoint, host, timeout_s)
    except (http.HTTPError, http.InvalidURL, AddressRefusedError, OSError) as exc:
        what, remedy = trouble_of(exc, timeout_s)
        return [fail(AREA, registry, what, remedy)]
    except ScanguardError as exc:
        return [fail(AREA, registry, exc.message, remedy_for(exc))]
    finally:
        await host.aclose()


async def _ask(client: AsyncClient, endpoint: Endpoint, host: DoctorHost, timeout_s: float) -> list[Check]:
    async with client.stream("GET", f"{endpoint.base}/v2/") as answer:
        extra = _certificate_checks(answer, endpoint.registry)
        status = answer.status_code
        headers = answer.headers
    if status == 401:
        login = await log_in(client, endpoint, host, headers.get_list("WWW-Authenticate"), timeout_s)
        return [_judged(endpoint, login), *extra]
    return [_answered(endpoint, status), *extra]


def _answered(endpoint: Endpoint, status: int) -> Check:
    where = f"{endpoint.base}/v2/ answers {status}"
    if status == 200:
        return ok(AREA, endpoint.registry, f"{where}: it wants no credentials")
    if status == 429:
        remedy = "wait; log in to the registry for a higher limit"
        return warn(AREA, endpoint.registry, f"{where}: it asks to slow down", remedy)
    if status >= 500:
        return fail(AREA, endpoint.registry, f"{where}: it has trouble of its own", "wait, or ask whoever runs it")
    return fail(
        AREA,
        endpoint.registry,
        f"{where}, which no registry does",
        "check that this host is the registry, not its site",
    )


def _judged(endpoint: Endpoint, login: Login) -> Check:
    registry = endpoint.registry
    if login.is_accepted:
        return ok(AREA, registry, f"{endpoint.base}: {login.detail}")
    remedy = f"log in with `docker login {registry}`, or configure credentials for it"
    if login.has_credential and not login.is_sure:
        remedy = f"scan an image of it to be sure, such as `scanguard scan {registry}/REPOSITORY`; else log in again"
        return warn(AREA, registry, f"{endpoint.base}: {login.detail}", remedy)
    if login.has_credential:
        return fail(AREA, registry, f"{endpoint.base}: {login.detail}", remedy)
    return warn(AREA, registry, f"{endpoint.base}: {login.detail}", f"{remedy}, unless its images are public")


def _certificate_checks(answer: Response, registry: str) -> list[Check]:
    ends = certificate_end(answer)
    if ends is None or ends - datetime.now(UTC) > timedelta(days=CERTIFICATE_DAYS):
        return []
    detail = f"its certificate ends on {ends:%Y-%m-%d %H:%M} UTC"
    return [warn(AREA, f"{registry} certificate", detail, "renew the registry's certificate before")]


def certificate_end(answer: Response) -> datetime | None:
    """When the server's certificate ends; None without TLS."""
    stream: Any = answer.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
