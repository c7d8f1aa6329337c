"""The contracts of sinks and notifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from scanguard.errors import NotifyError, ScanguardError, SinkError
from scanguard.hooks import Notice, NotifierSpec, PluginContext, SinkSpec
from scanguard.model.verdict import Outcome
from scanguard.ports import Receipt
from scanguard.testing.contracts.base import PluginContract
from scanguard.testing.contracts.setting import Broken
from scanguard.testing.samples import failed_scanner, sample_id, sample_image_verdict, sample_report, sample_verdict


def sample_notice(key: str = "0123456789abcdef", outcome: Outcome = Outcome.FAIL) -> Notice:
    """A notice of one deployment with nine findings."""
    verdict = sample_verdict(outcome)
    return Notice(key=key, verdict=verdict, reports={str(verdict.images[0].merged): sample_report()})


def awkward_notices() -> list[Notice]:
    """Notices that are rare: nobody looked, nothing to look at, very long and hostile texts, many images."""
    nobody = sample_image_verdict(
        None, Outcome.UNKNOWN, image=None, scanners=(failed_scanner("down", "ScannerUnavailableError"),)
    )
    hostile = sample_image_verdict(sample_report(), Outcome.FAIL, name='<b>\x1b[31m"@everyone`' + "🐳" * 2_000)
    many = [sample_image_verdict(sample_report(), Outcome.WARN, name=f"shop.example/web:{n}") for n in range(60)]
    pictures = [[nobody], [], [hostile], many]
    reports = {str(image.merged): sample_report() for images in pictures for image in images if image.merged}
    return [
        Notice(key=f"awkward-{number}", verdict=sample_verdict(images=images), reports=reports)
        for number, images in enumerate(pictures)
    ]


def _of_another_assessment(key: str) -> Notice:
    """The sample as another observation; one assessment has another key only for a later revision, which replaces."""
    notice = sample_notice(key)
    return replace(notice, verdict=notice.verdict.model_copy(update={"id": sample_id(key)}))


class _DeliveryContract(PluginContract):
    async def _deliver(self, plugin: Any, notice: Notice) -> Receipt:  # noqa: ANN401  # a sink or notifier
        raise NotImplementedError

    async def use(self, plugin: Any) -> Receipt:  # noqa: ANN401  # as above
        """Deliver one notice."""
        return await self._deliver(plugin, sample_notice())

    @pytest.mark.asyncio
    async def test_it_gives_a_receipt(self, config: Mapping[str, Any], context: PluginContext) -> None:
        plugin = self.build(config, context)
        receipt = await self.use(plugin)
        assert isinstance(receipt, Receipt), f"a delivery gives a Receipt, not a {type(receipt).__name__}"
        assert receipt.destination, "the receipt names no destination"
        assert receipt.delivered_at.tzinfo is not None, "the receipt's time has no time zone"
        await plugin.aclose()

    @pytest.mark.asyncio
    async def test_it_delivers_rare_and_hostile_verdicts_too(
        self, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        plugin = self.build(config, context)
        for notice in awkward_notices():
            receipt = await self._deliver(plugin, notice)
            assert isinstance(receipt, Receipt), f"{notice.key}: no receipt"
        await plugin.aclose()


class SinkContract(_DeliveryContract):
    """What every sink keeps. Override ``stored``."""

    hook = "scanguard_sinks"
    spec_type: ClassVar[type] = SinkSpec
    timeout_error: ClassVar[type[ScanguardError]] = SinkError
    error_family: ClassVar[type[ScanguardError]] = SinkError

    @pytest.fixture
    def stored(self) -> Callable[[], int]:
        """Counts what the sink has stored so far."""
        raise NotImplementedError("override the fixture `stored`: a function that counts the stored records")

    async def _deliver(self, plugin: Any, notice: Notice) -> Receipt:  # noqa: ANN401  # a sink
        receipt: Receipt = await plugin.write(notice)
        return receipt

    @pytest.mark.asyncio
    async def test_the_same_delivery_twice_is_stored_once_also_by_another_process(
        self, config: Mapping[str, Any], context: PluginContext, stored: Callable[[], int]
    ) -> None:
        first, second = self.build(config, context), self.build(config, replace(context))
        empty = stored()
        await first.write(sample_notice())
        once = stored()
        assert once > empty, "nothing was stored"
        await first.write(sample_notice())
        await second.write(sample_notice())
        assert stored() == once, "the same delivery was stored twice"
        await second.write(_of_another_assessment("another-key"))
        assert stored() > once, "another delivery was not stored"
        await first.aclose()
        await second.aclose()


class NotifierContract(_DeliveryContract):
    """What every notifier keeps. Override ``throttled`` when it talks to a service."""

    hook = "scanguard_notifiers"
    spec_type: ClassVar[type] = NotifierSpec
    timeout_error: ClassVar[type[ScanguardError]] = NotifyError
    error_family: ClassVar[type[ScanguardError]] = NotifyError

    @pytest.fixture
    def throttled(self) -> Broken | None:
        """A service that answers 429 and says how long to wait; None where there is no service."""
        return None

    async def _deliver(self, plugin: Any, notice: Notice) -> Receipt:  # noqa: ANN401  # a notifier
        receipt: Receipt = await plugin.send(notice)
        return receipt

    @pytest.mark.asyncio
    async def test_it_says_so_when_it_is_told_to_slow_down(
        self, throttled: Broken | None, context: PluginContext
    ) -> None:
        if throttled is None:
            return
        assert throttled.retry_after_s, "give `throttled` the seconds its service asks for"
        plugin = self.build(throttled.config, throttled.context or context)
        try:
            with pytest.raises(NotifyError) as caught:
                await self.use(plugin)
        finally:
            await plugin.aclose()
        waits = caught.value.retry_after_s
        assert waits == throttled.retry_after_s, f"told to wait {throttled.retry_after_s} s, the error says {waits}"
        assert caught.value.is_retryable
