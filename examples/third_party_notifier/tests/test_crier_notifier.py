"""What the room gets, and what becomes of a message that it does not take."""

from pathlib import Path

import pytest
from scanguard import NotifyError
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts import CANARY_REFERENCE
from scanguard.testing.contracts.delivery import sample_notice
from scanguard.testing.server import LoopbackServer

from crier_service import PATH, CrierService
from scanguard_notify_crier.config import CrierConfig
from scanguard_notify_crier.notifier import CrierNotifier


def notifier_for(folder: Path, url: str) -> CrierNotifier:
    config = CrierConfig.model_validate({"webhook": CANARY_REFERENCE})
    return CrierNotifier(config, make_context(folder, secrets={CANARY_REFERENCE: f"{url}{PATH}"}))


async def test_a_verdict_is_posted_and_the_receipt_names_the_room_without_its_address(tmp_path: Path) -> None:
    service, notice = CrierService(), sample_notice()
    async with LoopbackServer(service.answer) as server:
        receipt = await notifier_for(tmp_path, server.url).send(notice)

    (message,) = service.messages
    assert message["heading"] == "FAIL: web in shop"
    assert message["id"] == receipt.reference == notice.key
    assert receipt.destination == CANARY_REFERENCE
    assert not service.rude


async def test_a_delivery_that_is_repeated_shows_once_and_is_a_success(tmp_path: Path) -> None:
    service = CrierService()
    async with LoopbackServer(service.answer) as server:
        for _ in range(2):
            await notifier_for(tmp_path, server.url).send(sample_notice())

    assert len(service.messages) == 1


async def test_a_message_that_is_refused_for_now_can_be_sent_later(tmp_path: Path) -> None:
    service = CrierService(refusals=1, wait_s=0)
    async with LoopbackServer(service.answer) as server:
        notifier = notifier_for(tmp_path, server.url)
        with pytest.raises(NotifyError) as caught:
            await notifier.send(sample_notice())
        await notifier.send(sample_notice())

    assert caught.value.is_retryable
    assert caught.value.retry_after_s == 0
    assert len(service.messages) == 1
