"""The suites catch what they are there to catch: each bad plugin fails the clause it breaks, and a good one none."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from suite_runs import load_everything, run_suite

pytest_plugins = "pytester"
pytestmark = pytest.mark.usefixtures(load_everything.__name__)

SCANNER = """
import asyncio, logging
from scanguard.hooks import PluginConfig, ScannerSpec, hookimpl
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.secret import SecretRef
from pydantic import Field

scanguard_api_version = 1
SEEN = []


class Config(PluginConfig):
    token: SecretRef = Field(description="What to log in with.")


class Scanner:
    def __init__(self, config, context):
        self.config, self.context = config, context

    async def submit(self, request):
        token = await self.context.secret(self.config.token)
        await self.look(token)
        now = self.context.clock.now()
        return ScanReport(
            digest=self.digest(request), platform=request.image.platform, scanner=await self.info(),
            started_at=now, finished_at=now,
            coverage=Coverage(
                items=(
                    CoverageItem(subject="Debian:12", status=CoverageStatus.COVERED),
                    CoverageItem(subject="PyPI", status=CoverageStatus.NOT_COVERED),
                )
            ),
        )

    async def look(self, token):
        await asyncio.sleep(0.001)

    def digest(self, request):
        return request.image.digest

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
SCANNER_TEST = """
import pytest
from scanguard.testing.contracts import CANARY_REFERENCE, ScannerContract


class TestAcme(ScannerContract):
    plugin, name = "{module}", "acme"

    @pytest.fixture
    def config(self):
        return {{"token": CANARY_REFERENCE}}
"""
POLICY = """
from scanguard.hooks import PluginConfig, PolicySpec, hookimpl
from scanguard.model.verdict import Outcome, PolicyDecision, Reason

scanguard_api_version = 1


class Config(PluginConfig):
    pass


class Policy:
    def __init__(self, config, context):
        self.asked = 0

    async def evaluate(self, subject):
        missed = [one for one in subject.image.scanners if one.needed and one.status != "done"]
        if subject.merged is None or missed:
            return self.unknown()
        return PolicyDecision(outcome=Outcome.PASS)

    def unknown(self):
        return PolicyDecision(
            outcome=Outcome.UNKNOWN,
            reasons=(Reason(policy="acme", outcome=Outcome.UNKNOWN, message="nobody looked"),),
        )

    async def aclose(self):
        pass


@hookimpl
def scanguard_policies():
    yield PolicySpec(name="acme", config=Config, build=Policy, description="Judges")
"""
POLICY_TEST = """
from scanguard.testing.contracts import PolicyContract


class TestAcme(PolicyContract):
    plugin, name = "{module}", "acme"
"""
NOTIFIER = """
from pydantic import Field
from scanguard import http
from scanguard.errors import NotifyError
from scanguard.hooks import NotifierSpec, PluginConfig, hookimpl
from scanguard.model.secret import SecretRef
from scanguard.ports import Receipt

scanguard_api_version = 1


class Config(PluginConfig):
    url: str = Field(description="Where to send.")
    token: SecretRef = Field(description="What to log in with.")


class Notifier:
    def __init__(self, config, context):
        self.config, self.context = config, context

    async def send(self, notice):
        token = (await self.context.secret(self.config.token)).get_secret_value()
        async with self.context.http.client(base_url=self.config.url) as client:
            try:
                answer = await client.post("/send", headers={"Authorization": token}, json={"key": notice.key})
            except http.HTTPError as exc:
                raise NotifyError("the service cannot be reached") from exc
        self.check(answer)
        return Receipt("acme", notice.key, self.context.clock.now())

    def check(self, answer):
        if answer.status_code >= 400:
            raise NotifyError(
                f"the service answered {answer.status_code}",
                retry_after_s=http.retry_after_s(answer, self.context.clock.now()),
            )

    async def aclose(self):
        pass


@hookimpl
def scanguard_notifiers():
    yield NotifierSpec(name="acme", config=Config, build=Notifier, description="Tells")
"""
NOTIFIER_TEST = """
import pytest
from scanguard.errors import NotifyError
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contracts import CANARY_REFERENCE, Broken, NotifierContract


def config_for(url):
    return {{"url": url, "token": CANARY_REFERENCE}}


class TestAcme(NotifierContract):
    plugin, name = "{module}", "acme"

    @pytest.fixture
    def config(self):
        with answering(204) as url:
            yield config_for(url)

    @pytest.fixture
    def hanging(self):
        with answering(hangs=True) as url:
            yield config_for(url)

    @pytest.fixture
    def broken(self):
        with answering(500) as failing:
            yield [
                Broken("fails", config_for(failing), NotifyError),
                Broken("is not there", config_for(unreachable_url()), NotifyError),
            ]

    @pytest.fixture
    def throttled(self):
        with answering(429, headers={{"Retry-After": "7"}}) as url:
            yield Broken("throttled", config_for(url), NotifyError, retry_after_s=7.0)
"""
SINK = """
from pydantic import Field
from scanguard.hooks import PluginConfig, SinkSpec, hookimpl
from scanguard.ports import Receipt

scanguard_api_version = 1


class Config(PluginConfig):
    file: str = Field(description="Where to append.")


class Sink:
    def __init__(self, config, context):
        self.path, self.clock = context.config_dir / config.file, context.clock

    async def write(self, notice):
        if not self.has(notice.key):
            with self.path.open("a") as file:
                file.write(notice.key + "\\n")
        return Receipt(str(self.path), notice.key, self.clock.now())

    def has(self, key):
        return self.path.exists() and key in self.path.read_text().split()

    async def aclose(self):
        pass


@hookimpl
def scanguard_sinks():
    yield SinkSpec(name="acme", config=Config, build=Sink, description="Keeps")
"""
SINK_TEST = """
import pytest
from scanguard.testing.contracts import SinkContract


class TestAcme(SinkContract):
    plugin, name = "{module}", "acme"

    @pytest.fixture
    def config(self):
        return {{"file": "kept.txt"}}

    @pytest.fixture
    def stored(self, tmp_path):
        path = tmp_path / "kept.txt"
        return lambda: len(path.read_text().split()) if path.exists() else 0
"""
BUSY = "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass"


@dataclass(frozen=True)
class Kind:
    plugin: str
    test: str


KINDS = {
    "scanner": Kind(SCANNER, SCANNER_TEST),
    "policy": Kind(POLICY, POLICY_TEST),
    "notifier": Kind(NOTIFIER, NOTIFIER_TEST),
    "sink": Kind(SINK, SINK_TEST),
}


def run(pytester: pytest.Pytester, kind: str, plugin: str, only: str) -> pytest.RunResult:
    return run_suite(pytester, plugin, KINDS[kind].test, only)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_good_plugin_passes_every_clause(pytester: pytest.Pytester, kind: str) -> None:
    outcomes = run(pytester, kind, KINDS[kind].plugin, only="").parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= 14


@pytest.mark.parametrize(
    ("kind", "change", "clause", "says"),
    [
        pytest.param(
            "scanner", ("SEEN = []", "SEEN = []\nprint('hello')"), "importing", "importing * writes: hello",
            id="prints-at-import",
        ),
        pytest.param(
            "scanner", ("SEEN = []", BUSY), "importing", "costs * s of CPU",
            id="works-at-import",
        ),
        pytest.param(
            "scanner", ("SEEN = []", "SEEN = []\nimport threading, time\n"
            "threading.Thread(target=time.sleep, args=(1,), daemon=True).start()"), "importing", "starts a thread",
            id="starts-a-thread-at-import",
        ),
        pytest.param(
            "scanner", ("SEEN = []", "raise SystemExit(1)"), "importing", "writes: nothing, and fails",
            id="cannot-be-imported",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)", "        SEEN.append(1)"), "share", "*.SEEN",
            id="shares-state-in-its-module",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)", "        self.seen.append(1)\n    seen = []"), "share",
            "*.Scanner.seen", id="shares-state-in-its-class",
        ),
        pytest.param(
            "scanner",
            ("        self.config, self.context = config, context",
            "        self.config, self.context, self.cache = config, context, CACHE"),
            "share", "using one instance changed another", id="shares-an-object",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)",
            "        while True:\n            try:\n                await asyncio.sleep(1.2)\n                return\n"
            "            except asyncio.CancelledError:\n                pass"),
            "cancelled", "after it was cancelled", id="ignores-cancellation",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)",
            "        self.task = asyncio.ensure_future(asyncio.sleep(60))\n        await asyncio.sleep(5)"),
            "cancelled", "tasks running", id="leaves-a-task",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)",
            "        import os\n        os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '2')\n"
            "        await asyncio.sleep(5)"),
            "cancelled", "child process running", id="leaves-a-child",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)", "        self.context.http.client()"), "leaves_no_client",
            "HTTP clients open", id="leaves-a-client-open",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)",
            "        logging.getLogger('acme').debug('using %s', token.get_secret_value())"), "secret",
            "the secret shows", id="logs-the-secret",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)",
            "        self.token = token.get_secret_value()\n    def __repr__(self):\n        return f'<{self.token}>'"),
            "secret", "the secret shows", id="shows-the-secret-in-its-repr",
        ),
        pytest.param(
            "scanner", ("return request.image.digest", "return 'sha256:' + '0' * 64"), "about_the_image",
            "it reports on sha256:0000", id="reports-on-another-digest",
        ),
        pytest.param(
            "scanner", ("        await asyncio.sleep(0.001)", "        import time\n        time.sleep(0.8)"),
            "holds_up", "holds up everything else for 0.* s", id="blocks-the-loop",
        ),
        pytest.param(
            "scanner", ("return ScanReport(\n", "return dict(\n"), "about_the_image", "a scan gave a dict",
            id="answers-with-the-wrong-type",
        ),
        pytest.param(
            "notifier", ("        token = (await", "        import asyncio, time\n        end = time.monotonic() + 3\n"
            "        while time.monotonic() < end:\n            try:\n                await asyncio.sleep(0.1)\n"
            "            except asyncio.CancelledError:\n                pass\n"
            "        raise NotifyError('late')\n        token = (await"),
            "too_long", "with a deadline of 0.3 s it took", id="ignores-its-deadline",
        ),
        pytest.param(
            "scanner", ("class Config(PluginConfig):", "class Config(PluginConfig, extra='ignore'):"), "wrong_config",
            "a wrong no_such_option is accepted", id="accepts-unknown-options",
        ),
        pytest.param(
            "scanner", ('Field(description="What to log in with.")', "Field()"), "described",
            "without a description: token", id="does-not-describe-an-option",
        ),
        pytest.param(
            "scanner", ("scanguard_api_version = 1", ""), "record", "scanguard_api_version is None",
            id="does-not-say-its-api-version",
        ),
        pytest.param(
            "policy", ("if subject.merged is None or missed:", "if missed:"), "nobody_looked",
            "without a report it says pass",
            id="passes-without-a-report",
        ),
        pytest.param(
            "policy", ("if subject.merged is None or missed:", "if subject.merged is None:"), "needed_scanner",
            "it passes while a needed scanner is failed", id="passes-though-a-scanner-failed",
        ),
        pytest.param(
            "policy", ("        missed =", "        self.asked += 1\n        if self.asked % 2: return self.unknown()\n"
            "        missed ="), "same_question", "asked twice, it decides differently", id="is-not-pure",
        ),
        pytest.param(
            "policy", ('message="nobody looked"', 'message=""'), "has_a_reason",
            "unknown without a reason", id="gives-no-reason",
        ),
        pytest.param(
            "notifier", ("if answer.status_code >= 400:", "if answer.status_code >= 500:"), "slow_down",
            "DID NOT RAISE", id="swallows-a-429",
        ),
        pytest.param(
            "notifier", ("retry_after_s=http.retry_after_s(answer, self.context.clock.now()),", ""), "slow_down",
            "told to wait 7.0 s, the error says None", id="forgets-how-long-to-wait",
        ),
        pytest.param(
            "notifier", ("except http.HTTPError as exc:", "except KeyError as exc:"), "right_error",
            "is not there: a foreign ConnectError escaped", id="lets-a-foreign-error-out",
        ),
        pytest.param(
            "notifier", ("if answer.status_code >= 400:", "if answer.status_code == 429:"), "right_error",
            "fails: it answered with a Receipt", id="takes-a-failure-for-success",
        ),
        pytest.param(
            "notifier", ('f"the service answered {answer.status_code}"', 'f"refused {answer.request.headers}"\n'
            '                + answer.request.headers["Authorization"]'), "right_error", "the secret shows",
            id="shows-the-secret-in-an-error",
        ),
        pytest.param(
            "notifier", ('return Receipt("acme", notice.key, self.context.clock.now())', "return True"), "receipt",
            "gives a Receipt, not a bool", id="answers-with-a-bool",
        ),
        pytest.param(
            "sink", ("        if not self.has(notice.key):\n", "        if True:\n"), "stored_once",
            "the same delivery was stored twice", id="stores-twice",
        ),
        pytest.param(
            "sink", ("        if not self.has(notice.key):\n", "        if False:\n"), "stored_once",
            "nothing was stored", id="stores-nothing",
        ),
    ],
)  # fmt: skip
def test_a_bad_plugin_is_caught(
    pytester: pytest.Pytester, kind: str, change: tuple[str, str], clause: str, says: str
) -> None:
    good, bad = change
    text = KINDS[kind].plugin
    assert text.count(good) == 1, "the change must hit one place"
    changed = text.replace(good, bad)
    if "CACHE" in bad:
        changed = changed.replace("await asyncio.sleep(0.001)", "self.cache.append(1)")
        changed = changed.replace("SEEN = []", "import types\nHOLDER = types.SimpleNamespace(c=[])\nCACHE = HOLDER.c")
    result = run(pytester, kind, changed, only=clause)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{says}*"])
