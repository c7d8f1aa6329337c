"""The suites of event sources and secret stores catch what they are there to catch."""

from __future__ import annotations

import pytest
from suite_runs import load_everything, run_suite

pytest_plugins = "pytester"
pytestmark = pytest.mark.usefixtures(load_everything.__name__)

STORE = """
import asyncio, logging
from pydantic import SecretStr
from scanguard.errors import SecretError
from scanguard.hooks import SecretStoreSpec, hookimpl

VALUES = {"token": "canary-7c1f0d9e4b", "torn": "canary-7c1f0d9e4b\\ufffd"}


class Store:
    async def resolve(self, locator):
        await self.ask()
        if locator == "slow":
            await self.wait()
        value = VALUES.get(locator)
        if value is None or not value.isascii():
            raise SecretError(f"the secret acme:{locator} cannot be had", target=f"acme:{locator}")
        return SecretStr(value)

    async def ask(self):
        await asyncio.sleep(0)

    async def wait(self):
        await asyncio.sleep(0.05)


@hookimpl
def scanguard_secret_stores():
    yield SecretStoreSpec(name="acme", build=lambda config, context: Store(), description="Holds")
"""
STORE_TEST = """
import pytest
from scanguard.testing.contracts import SecretStoreContract


class TestAcme(SecretStoreContract):
    plugin, name, max_resolve_s = "{module}", "acme", 0.5

    @pytest.fixture
    def known(self):
        return "token"

    @pytest.fixture
    def unusable(self):
        return ["torn"]

    @pytest.fixture
    def hanging(self):
        return "slow"
"""
SOURCE = """
import itertools
from scanguard.errors import EventError
from scanguard.hooks import EventSourceSpec, hookimpl
from scanguard.model.deployment import Event

COUNT = itertools.count()


def accepts(event):
    return "acme" in event


def parse(event):
    kind, caller = event.get("acme"), event.get("who")
    if kind != "started":
        return None
    who = caller.get("oid") if isinstance(caller, dict) else None
    try:
        return Event(
            id=event.get("id"), source="acme", type=kind, resource_id=event.get("what"), time=event.get("at"),
            actor=who if who == "aa-1" else None,
        )
    except (ValueError, OverflowError) as exc:
        raise EventError("it is broken") from None


@hookimpl
def scanguard_event_sources():
    yield EventSourceSpec(name="acme", accepts=accepts, parse=parse, description="Tells")
"""
SOURCE_TEST = """
import pytest
from scanguard.testing.contracts import CANARY, EventSourceContract


class TestAcme(EventSourceContract):
    plugin, name = "{module}", "acme"

    @pytest.fixture
    def event(self):
        who = {{"oid": "aa-1", "mail": CANARY}}
        return {{"acme": "started", "id": "1", "what": "/r", "at": "2026-03-01T18:38:04Z", "who": who}}

    @pytest.fixture
    def other(self):
        return {{"acme": "stopped", "who": {{}}}}

    @pytest.fixture
    def actor(self):
        return "aa-1"
"""
KINDS = {"store": (STORE, STORE_TEST), "source": (SOURCE, SOURCE_TEST)}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_good_one_passes_every_clause(pytester: pytest.Pytester, kind: str) -> None:
    plugin, test = KINDS[kind]
    plugin = plugin.replace("sleep(0.05)", "sleep(60)") if kind == "store" else plugin
    plugin = plugin.replace("await self.wait()", "await self.given_up(locator)")
    plugin = plugin.replace(
        "    async def wait(self):",
        "    async def given_up(self, locator):\n        try:\n            async with asyncio.timeout(0.2):\n"
        "                await self.wait()\n        except TimeoutError:\n"
        "            raise SecretError(f'acme:{locator} does not answer') from None\n\n    async def wait(self):",
    )
    outcomes = run_suite(pytester, plugin, test).parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= 17


@pytest.mark.parametrize(
    ("kind", "change", "clause", "says"),
    [
        pytest.param(
            "store", ("return SecretStr(value)", "return value"), "shows_it_nowhere", "gives a str, not a SecretStr",
            id="store-gives-a-plain-text",
        ),
        pytest.param(
            "store", ("return SecretStr(value)", "logging.getLogger('acme').debug('got %s', value)\n"
            "        return SecretStr(value)"), "shows_it_nowhere", "the secret shows", id="store-logs-the-secret",
        ),
        pytest.param(
            "store", ("return SecretStr(value)", "self.value = value\n        return SecretStr(value)\n"
            "    def __repr__(self):\n        return self.value"), "shows_it_nowhere", "the secret shows",
            id="store-shows-the-secret-in-its-repr",
        ),
        pytest.param(
            "store", ("cannot be had", "cannot be had: {value}"), "can_be_no_secret", "the secret shows",
            id="store-shows-the-secret-in-an-error",
        ),
        pytest.param(
            "store", ("cannot be had", "cannot be had; there are {VALUES}"), "names_the_reference",
            "the secret shows", id="store-lists-its-secrets-in-an-error",
        ),
        pytest.param(
            "store", ('f"the secret acme:{locator} cannot be had"', '"a secret cannot be had"'), "names_the_reference",
            "the error does not name scanguard-no-such-secret", id="store-does-not-name-the-reference",
        ),
        pytest.param(
            "store", ("VALUES.get(locator)", "VALUES[locator]"), "names_the_reference",
            "lets a foreign KeyError out", id="store-lets-a-foreign-error-out",
        ),
        pytest.param(
            "store", ("or not value.isascii()", ""), "can_be_no_secret", "gives a SecretStr instead of an error",
            id="store-gives-what-can-be-no-secret",
        ),
        pytest.param(
            "store", ("sleep(0.05)", "sleep(60)"), "never_answers", "gives nothing within 0.5 s",
            id="store-waits-for-ever",
        ),
        pytest.param(
            "store", ("        await asyncio.sleep(0.05)", "        for _ in range(15):\n            try:\n"
            "                await asyncio.sleep(0.1)\n            except asyncio.CancelledError:\n"
            "                pass"), "cancelled", "after it was cancelled", id="store-ignores-cancellation",
        ),
        pytest.param(
            "store", ("await asyncio.sleep(0.05)", "self.task = asyncio.ensure_future(asyncio.sleep(60))\n"
            "        await asyncio.sleep(60)"), "cancelled", "leaves a task running", id="store-leaves-a-task",
        ),
        pytest.param(
            "store", ("        await asyncio.sleep(0)", "        import time\n        time.sleep(0.8)"), "holds_up",
            "holds up everything else for 0.* s", id="store-blocks-the-loop",
        ),
        pytest.param(
            "store", ("context: Store()", "context: VALUES.setdefault('', Store())"), "share_nothing",
            "two stores are one", id="store-is-shared",
        ),
        pytest.param(
            "source", ("source=\"acme\"", "source=str(caller)"), "understood_and_trimmed", "the secret shows",
            id="source-keeps-the-caller",
        ),
        pytest.param(
            "source", ("source=\"acme\"", "source=event.get('caller') or 'acme'"), "only_the_id",
            "the secret shows", id="source-keeps-what-the-suite-knows-to-be-personal",
        ),
        pytest.param(
            "source", ("who if who == \"aa-1\" else None", "None"), "only_the_id",
            "it keeps None of the caller, not 'aa-1'", id="source-loses-the-id-of-the-caller",
        ),
        pytest.param(
            "source", ("id=event.get(\"id\")", "id=str(next(COUNT))"), "is_the_same",
            "the same event twice gives two different ones", id="source-gives-a-new-id-each-time",
        ),
        pytest.param(
            "source", ("id=event.get(\"id\")", "id=str([*event])"), "is_the_same",
            "in another order it is another event", id="source-minds-the-order-of-keys",
        ),
        pytest.param(
            "source", ("id=event.get(\"id\")", "id=kind"), "another_id", "would be taken for the first",
            id="source-gives-every-event-one-id",
        ),
        pytest.param(
            "source", ("kind, caller = event.get(\"acme\")", "kind, caller = event.pop(\"acme\", None)"),
            "left_as_it_was", "*", id="source-changes-the-event",
        ),
        pytest.param(
            "source", ("except (ValueError, OverflowError)", "except KeyError"), "stands_in_any_place",
            "a foreign ValidationError escaped", id="source-lets-a-foreign-error-out",
        ),
        pytest.param(
            "source", ("except (ValueError, OverflowError)", "except KeyError"), "hypothesis",
            "a foreign ValidationError escaped", id="source-lets-a-foreign-error-out-of-what-nobody-thought-of",
        ),
        pytest.param(
            "source", ("return \"acme\" in event", "return event[\"acme\"] is not None"), "hypothesis",
            "accepts lets a KeyError out", id="source-cannot-say-of-everything-whether-it-is-its-own",
        ),
        pytest.param(
            "source", ("return \"acme\" in event", "return event.get(\"acme\")"), "stands_in_any_place",
            "accepts gives a *, not a bool", id="source-says-something-else-than-yes-or-no",
        ),
        pytest.param(
            "source", ("return \"acme\" in event", "return \"acme\" in event and \"x\" not in event.get(\"who\", ())"),
            "looking_deep", "it looks below the first level", id="source-looks-deep",
        ),
        pytest.param(
            "source", ("return \"acme\" in event", "return True"), "another_kind", "it takes * for events of its kind",
            id="source-takes-everything",
        ),
        pytest.param(
            "source", ("        return None\n", "        return {}\n"), "stands_in_any_place", "parse gives a dict",
            id="source-gives-the-wrong-type",
        ),
    ],
)  # fmt: skip
def test_a_bad_one_is_caught(
    pytester: pytest.Pytester, kind: str, change: tuple[str, str], clause: str, says: str
) -> None:
    plugin, test = KINDS[kind]
    good, bad = change
    assert plugin.count(good) == 1, "the change must hit one place"
    result = run_suite(pytester, plugin.replace(good, bad), test, only=clause)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{says}*"])
