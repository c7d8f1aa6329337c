"""Contract suites: what every plugin of a kind must keep, as test classes to subclass.

A plugin's test file names the plugin and gives what the suite needs to make it work and, where it talks to
something, to make that fail::

    class TestAcmeContract(ScannerContract):
        plugin = "scanguard_acme.plugin"
        name = "acme"

        @pytest.fixture
        def config(self, server): return {"url": server.url, "token": CANARY_REFERENCE}

Needs pytest and pytest-asyncio.
"""

from scanguard.testing.contracts import explained  # noqa: F401  # first: it must run before the suites load
from scanguard.testing.contracts.backend import BackendContract
from scanguard.testing.contracts.base import PluginContract
from scanguard.testing.contracts.coverage import Gap
from scanguard.testing.contracts.delivery import NotifierContract, SinkContract
from scanguard.testing.contracts.event_source import EventSourceContract
from scanguard.testing.contracts.policy import PolicyContract
from scanguard.testing.contracts.probes import CANARY
from scanguard.testing.contracts.scanner import ScannerContract
from scanguard.testing.contracts.secret_store import SecretStoreContract
from scanguard.testing.contracts.setting import CANARY_REFERENCE, Broken

__all__ = [
    "CANARY",
    "CANARY_REFERENCE",
    "BackendContract",
    "Broken",
    "EventSourceContract",
    "Gap",
    "NotifierContract",
    "PluginContract",
    "PolicyContract",
    "ScannerContract",
    "SecretStoreContract",
    "SinkContract",
]
