"""The factory of HTTP clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from scanguard.errors import ConfigError
from scanguard.http.addresses import AddressPolicy
from scanguard.http.watch import Watch

if TYPE_CHECKING:
    import ssl

    from scanguard.http.transport import AsyncClient

Resolver = Callable[[str, int], Awaitable[Sequence[tuple[str, int]]]]
"""Looks a host and port up: the addresses, and the port at each, to try in turn."""

CONNECT_TIMEOUT_S = 10.0
USER_AGENT = "scanguard"


class HttpFactory:
    """Makes every HTTP client; one is shared by the application and lent to plugins.

    Proxies and ``.netrc`` named by the environment are not used: a proxy resolves names itself, which would
    void the address check, and ``.netrc`` would add credentials that nobody configured here. The environment's
    certificates (``SSL_CERT_FILE``, ``SSL_CERT_DIR``) are.

    Args:
        ca_file: Certificates (PEM) to trust besides the usual ones, for every client.
        resolve: How guarded clients look names up; the operating system's way when None.
        watch: Is told of every request.
    """

    def __init__(
        self, *, ca_file: Path | None = None, resolve: Resolver | None = None, watch: Watch | None = None
    ) -> None:
        self._ca_file = ca_file
        self._resolve = resolve
        self._watch = watch
        self._contexts: dict[tuple[Path, ...], ssl.SSLContext] = {}

    def watched(self, watch: Watch) -> HttpFactory:
        """The same factory for somebody else, whose requests ``watch`` is told of."""
        lent = copy(self)
        lent._watch = watch
        return lent

    def client(
        self,
        *,
        base_url: str = "",
        timeout_s: float = 30.0,
        headers: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        allow_private: bool = True,
        addresses: AddressPolicy | None = None,
        max_redirects: int = 0,
        attempts: int = 3,
        max_connections: int = 20,
        cookies: bool = False,
    ) -> AsyncClient:
        """Make a client; close it with ``aclose()`` or ``async with``.

        GET and HEAD are tried again, up to ``attempts`` times in all and within seconds, when no connection
        comes about or the answer is 502, 503 or 504. A 429 is returned to the caller: waiting is the engine's
        business. Log lines and the library's exceptions show the server only, never a query or a header.

        Args:
            base_url: Prefix of relative URLs.
            timeout_s: Longest wait for each read, write and free connection; connecting gets at most 10 s of it.
                It does not bound a whole request: use :func:`scanguard.http.deadline`.
            headers: Sent with every request.
            ca_file: Certificates (PEM) to trust besides the usual ones.
            allow_private: False for URLs that others write: only public addresses are connected to.
            addresses: A finer rule instead of ``allow_private``.
            max_redirects: Redirects to follow; none by default. The library drops ``Authorization`` when the
                host changes.
            attempts: Most times a GET or HEAD is sent; 1 switches retries off.
            max_connections: Most connections open at once.
            cookies: True to keep the cookies that servers set, for a service that logs in with one.

        Raises:
            ConfigError: ``ca_file`` cannot be read.
        """
        from scanguard.http import transport  # noqa: PLC0415  # 0.2 s that a start without network need not pay

        if addresses is None and not allow_private:
            addresses = AddressPolicy()
        return transport.make_client(
            base_url=base_url,
            timeout_s=timeout_s,
            connect_timeout_s=min(CONNECT_TIMEOUT_S, timeout_s),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate", **(headers or {})},
            context=self._context(*(path for path in (self._ca_file, ca_file) if path)),
            addresses=addresses,
            resolve=self._resolve,
            watch=self._watch,
            max_redirects=max_redirects,
            attempts=attempts,
            max_connections=max_connections,
            cookies=cookies,
        )

    def _context(self, *ca_files: Path) -> ssl.SSLContext:
        """One TLS context per set of certificates: loading them costs tens of milliseconds."""
        from scanguard.http import transport  # noqa: PLC0415  # see client()

        if ca_files not in self._contexts:
            context = transport.create_ssl_context()
            for path in ca_files:
                try:
                    context.load_verify_locations(path)
                except OSError as exc:  # ssl.SSLError is one
                    raise ConfigError(f"{path} holds no readable PEM certificates", target=str(path)) from exc
            self._contexts[ca_files] = context
        return self._contexts[ca_files]
