"""A service on a real socket that speaks HTTPS with a real certificate, and misbehaves on demand.

::

    async with FakeService() as service:
        service.answers += [Answer.throttled(7), Answer(200, b"{}")]
        factory = HttpFactory(ca_file=service.ca_file)
        ...
        assert service.requests[0].headers["authorization"] == "Bearer x"

Needs trustme.
"""

from __future__ import annotations

import ssl
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest


class FakeService:
    """Gives its ``answers`` one after another, and the last one for ever; remembers every request.

    Attributes:
        answers: What is answered next. :class:`~scanguard.testing.server.Answer` can be slow (``delay_s``), endless
            (``stream``), and ``throttled``, a ``redirect``, ``cut_off``, ``garbage`` or ``hanging``.
        ca_file: The certificate to trust, for ``HttpFactory(ca_file=...)``.
    """

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.ca_file = Path()
        self._stack = AsyncExitStack()
        self._server: LoopbackServer | None = None

    async def __aenter__(self) -> Self:
        """Make a certificate and listen on a free port of 127.0.0.1."""
        import trustme  # noqa: PLC0415  # only where a test wants TLS

        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
        self._server = await self._stack.enter_async_context(LoopbackServer(self._answer, tls=tls))
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop, and remove the certificate."""
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """``https://127.0.0.1:port``."""
        return self._listening.url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Every request, in the order of arrival."""
        return self._listening.requests

    @property
    def _listening(self) -> LoopbackServer:
        if self._server is None:
            raise RuntimeError("use it in `async with`")
        return self._server

    async def _answer(self, request: ReceivedRequest) -> Answer:
        if not self.answers:
            return Answer(404, b"nothing was given to answer with")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
