"""A plugin that talks HTTP is tried against broken services also where its author gives none."""

from __future__ import annotations

import pytest
from suite_runs import load_everything, run_suite

pytest_plugins = "pytester"
pytestmark = pytest.mark.usefixtures(load_everything.__name__)

SCANNER = """
import asyncio, json
from pydantic import Field
from scanguard import http
from scanguard.errors import ScannerOutputError, ScannerThrottledError, ScannerUnavailableError
from scanguard.hooks import PluginConfig, ScannerSpec, hookimpl
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport

scanguard_api_version = 1


class Config(PluginConfig):
    url: str = Field(description="Where the service is.")


class Scanner:
    def __init__(self, config, context):
        self.config, self.context = config, context

    async def submit(self, request):
        status = await self.ask()
        now = self.context.clock.now()
        return ScanReport(
            digest=request.image.digest, platform=request.image.platform, scanner=await self.info(),
            started_at=now, finished_at=now,
            coverage=Coverage(items=(CoverageItem(subject="all", status=status),)),
        )

    async def ask(self):
        async with self.context.http.client(base_url=self.config.url, attempts=1) as client:
            try:
                answer = await self.get(client)
            except http.HTTPError as exc:
                raise ScannerUnavailableError("the service cannot be reached") from exc
        self.check(answer)
        try:
            return CoverageStatus(answer.json()["coverage"])
        except (ValueError, RecursionError) as exc:
            raise ScannerOutputError("the service answers with something else than JSON") from exc

    async def get(self, client):
        return await client.get("/scan")

    def check(self, answer):
        if answer.status_code == 429:
            waits = http.retry_after_s(answer, self.context.clock.now())
            raise ScannerThrottledError("asked too much", retry_after_s=waits)
        if answer.status_code >= 400:
            raise ScannerUnavailableError(f"the service answered {answer.status_code}")

    async def find(self, request):
        return None

    async def info(self):
        return ScannerInfo(tool="acme", version="1")

    async def aclose(self):
        pass


@hookimpl
def scanguard_scanners():
    yield ScannerSpec(name="acme", config=Config, build=Scanner, description="Scans")
"""
TEST = """
import pytest
from scanguard.testing.answering import answering
from scanguard.testing.contracts import Gap, ScannerContract


class TestAcme(ScannerContract):
    plugin, name = "{module}", "acme"

    @pytest.fixture
    def config(self):
        with answering(200, b'{{"coverage": "covered"}}') as url:
            yield {{"url": url}}

    @pytest.fixture
    def gap(self):
        with answering(200, b'{{"coverage": "not_covered"}}') as url:
            yield Gap({{"url": url}})
"""
GET = 'return await client.get("/scan")'
NOT_JSON = (
    '        try:\n            return CoverageStatus(answer.json()["coverage"])\n'
    "        except (ValueError, RecursionError) as exc:\n"
    '            raise ScannerOutputError("the service answers with something else than JSON") from exc\n'
)


def changed(*changes: tuple[str, str]) -> str:
    text = SCANNER
    for good, bad in changes:
        assert text.count(good) == 1, "the change must hit one place"
        text = text.replace(good, bad)
    return text


def test_a_good_scanner_passes_every_clause(pytester: pytest.Pytester) -> None:
    outcomes = run_suite(pytester, SCANNER, TEST).parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= 30


@pytest.mark.parametrize(
    ("change", "clause", "says"),
    [
        pytest.param(
            (GET, "while True:\n            try:\n                return await client.get('/scan', timeout=1.3)\n"
            "            except asyncio.CancelledError:\n                pass"),
            "cancelled", "after it was cancelled", id="ignores-cancellation",
        ),
        pytest.param(
            (GET, "end = asyncio.get_running_loop().time() + 2\n"
            "        while asyncio.get_running_loop().time() < end:\n            try:\n"
            "                return await client.get('/scan', timeout=0.5)\n            except BaseException:\n"
            "                pass\n        raise ScannerUnavailableError('late')"),
            "too_long", "with a deadline of 0.3 s it took", id="ignores-its-deadline",
        ),
        pytest.param(
            (GET, "self.beat = asyncio.ensure_future(asyncio.sleep(60))\n        return await client.get('/scan')"),
            "cancelled", "cancelled, it leaves 1 tasks running", id="leaves-a-task-running",
        ),
        pytest.param(
            ('async with self.context.http.client(base_url=self.config.url, attempts=1) as client:',
            'client = self.context.http.client(base_url=self.config.url, attempts=1)\n        if True:'),
            "cancelled", "HTTP clients open", id="leaves-a-client-open-when-cancelled",
        ),
        pytest.param(
            ("        answer = await self.get(client)",
            "        answer = await asyncio.wait_for(self.get(client), 0.1)\n"
            "            except TimeoutError:\n                return CoverageStatus.COVERED"),
            "too_long", "nobody answered it, and it gives an answer", id="is-clean-when-nobody-answers",
        ),
        pytest.param(
            ("if answer.status_code == 429:", "if answer.status_code == 428:"), "error_of_its_kind and much",
            "told to wait 7.0 s, the error says None", id="swallows-a-429",
        ),
        pytest.param(
            ("            raise ScannerThrottledError", "            return ScannerThrottledError"),
            "error_of_its_kind and much", "a foreign KeyError escaped", id="does-not-raise-a-429",
        ),
        pytest.param(
            (", retry_after_s=waits", ""), "error_of_its_kind and much", "told to wait 7.0 s, the error says None",
            id="forgets-how-long-to-wait",
        ),
        pytest.param(
            ("except http.HTTPError as exc:", "except KeyError as exc:"), "error_of_its_kind and there",
            "is not there: a foreign ConnectError escaped", id="lets-a-foreign-error-out",
        ),
        pytest.param(
            ("raise ScannerUnavailableError(\"the service cannot", "raise OSError(\"the service cannot"),
            "error_of_its_kind and off", "is cut off: a foreign OSError escaped", id="raises-a-foreign-error",
        ),
        pytest.param(
            ("raise ScannerUnavailableError(f", "from scanguard.errors import NotifyError\n"
            "            raise NotifyError(f"), "error_of_its_kind and fails",
            "fails: NotifyError, not a ScanError", id="raises-an-error-of-another-kind",
        ),
        pytest.param(
            (NOT_JSON, "        try:\n            return CoverageStatus(answer.json()['coverage'])\n"
            "        except (ValueError, RecursionError):\n            return CoverageStatus.COVERED\n"),
            "means_nothing and login", "shows a login page: it reports 0 findings and covers ?'all'?, no less",
            id="cleans-an-image-on-garbage",
        ),
        pytest.param(
            ("except (ValueError, RecursionError)", "except KeyError"), "means_nothing and nothing",
            "a foreign JSONDecodeError escaped", id="lets-a-foreign-error-out-on-garbage",
        ),
        pytest.param(
            ("except (ValueError, RecursionError)", "except ValueError"), "means_nothing and deep",
            "a foreign RecursionError escaped", id="lets-a-foreign-error-out-on-depth",
        ),
        pytest.param(
            ('CoverageStatus(answer.json()["coverage"])', 'answer.json() and CoverageStatus.COVERED'), "is_a_gap",
            "it could not look at everything, and says that everything is covered",
            id="reports-a-gap-as-covered",
        ),
        pytest.param(
            (GET, "from scanguard.process import minimal_environment, run_process\n"
            "        await run_process(['true'], env=minimal_environment(), timeout_s=9)\n"
            "        return await asyncio.sleep(9)"),
            "cancelled", "starts a process, and not through context.http: override the fixture `hanging`",
            id="starts-a-process-and-gives-nothing-that-hangs",
        ),
        pytest.param(
            (GET, "await asyncio.open_connection(*self.config.url[7:].split(':'))\n        await asyncio.sleep(9)"),
            "too_long", "opens a connection, and not through context.http: override the fixture `hanging`",
            id="talks-past-context.http-and-gives-nothing-that-hangs",
        ),
    ],
)  # fmt: skip
def test_a_bad_scanner_is_caught_without_a_word_from_its_author(
    pytester: pytest.Pytester, change: tuple[str, str], clause: str, says: str
) -> None:
    result = run_suite(pytester, changed(change), TEST, only=clause)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{says}*"])


def test_a_scanner_that_never_has_a_gap_is_asked_for_one_visibly(pytester: pytest.Pytester) -> None:
    silent = TEST[: TEST.index("    @pytest.fixture\n    def gap")]
    result = run_suite(pytester, SCANNER, silent, only="is_a_gap")
    result.assert_outcomes(skipped=1)
