"""Posts each message, and turns each failure into the right error; the address itself shows nowhere."""

import re

from scanguard import Notice, NotifyError, PluginContext, Receipt, http

from scanguard_notify_crier.config import CrierConfig
from scanguard_notify_crier.message import body_for

_ADDRESS = re.compile(r"https?://[^\s/@?#]+/[^\s#]*")
_ALREADY_THERE = 409


class CrierNotifier:
    """Delivers or raises; waiting and sending again is the engine's business."""

    def __init__(self, config: CrierConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._room = f"the webhook {config.webhook}"

    async def send(self, notice: Notice) -> Receipt:
        """Deliver; raises NotifyError."""
        body = body_for(notice.verdict, key=notice.key, max_images=self._config.max_images)
        async with http.deadline(self._config.timeout_s, self._late):
            await self._post(body)
        return Receipt(str(self._config.webhook), notice.key, self._context.clock.now())

    async def aclose(self) -> None:
        """Nothing stays open between messages."""

    async def _post(self, body: bytes) -> None:
        address = (await self._context.secret(self._config.webhook)).get_secret_value()
        if not _ADDRESS.fullmatch(address):
            raise NotifyError(f"{self._room} is no http address: copy it from the settings of the room")
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                self._context.http.client(timeout_s=self._config.timeout_s) as client,
                client.stream("POST", address, content=body, headers=headers) as answer,
            ):
                self._check(answer)
        except http.TimeoutException as exc:
            raise self._late() from exc
        except (http.HTTPError, http.InvalidURL) as exc:
            # the cause may quote the address: of it, only the kind is told
            raise NotifyError(f"{self._room} cannot be reached ({type(exc).__name__})") from None

    def _check(self, answer: http.Response) -> None:
        status = answer.status_code
        said = f"{self._room} answered {status}"
        if answer.is_success or status == _ALREADY_THERE:
            return
        if status in (429, 503):
            wait_s = http.retry_after_s(answer, self._context.clock.now())
            raise NotifyError(f"{said}: asked to slow down", retry_after_s=wait_s)
        if status in (401, 403, 404, 410):
            raise NotifyError(f"{said}: it was removed, or is not for us; make a new one")
        raise NotifyError(said)

    def _late(self) -> NotifyError:
        return NotifyError(f"{self._room} did not answer in {self._config.timeout_s:g} s")
