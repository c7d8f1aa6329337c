"""What plugin authors test with: contract suites, fakes on real sockets, strategies; see docs/testing-plugins.md.

========================================  ==========================================================================
:mod:`scanguard.testing.contracts`        a test class for each kind of plugin, to subclass
:mod:`scanguard.testing.contexts`         ``make_context``: what the engine lends, watched
:mod:`scanguard.testing.memory`           ``ManualClock``, ``MemoryBackend``: time and ports in a test's hands
:mod:`scanguard.testing.answering`        ``answering``: a web server that gives one answer to everything
:mod:`scanguard.testing.server`           ``LoopbackServer``: a web server with a handler, and ways to misbehave
:mod:`scanguard.testing.service`          ``FakeService``: the same over HTTPS, with a certificate to trust
:mod:`scanguard.testing.registry`         ``FakeRegistry``: an OCI registry with tokens, limits and faults
:mod:`scanguard.testing.images`           images, layer by layer, and OCI folders of them
:mod:`scanguard.testing.scripted`         ``ScriptedScanner``: a scanner that answers what a test tells it to
:mod:`scanguard.testing.rig`              ``Rig``: the engine on a bench, with a scripted scanner; kill it anywhere
:mod:`scanguard.testing.samples`          a verdict, a report, a finding, as examples
:mod:`scanguard.testing.strategies`       hypothesis strategies: reports, verdicts, events, notices
:mod:`scanguard.testing.commands`         ``invoke``: the command line in process
========================================  ==========================================================================

The fakes can be imported from here; names load when they are first touched. ``answering`` is imported from its module,
which has the same name. Suites and strategies are imported from
their modules, because they need pytest and hypothesis: nothing here loads those, or trustme, before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scanguard.testing.answering import unreachable_url
    from scanguard.testing.commands import FakeApplication, invoke
    from scanguard.testing.contexts import WatchedHttp, make_context
    from scanguard.testing.images import BuiltImage, build_image, build_index, write_oci_archive, write_oci_folder
    from scanguard.testing.memory import Crash, ManualClock, MemoryBackend
    from scanguard.testing.registry import FakeRegistry
    from scanguard.testing.rig import Rig, RigScanner
    from scanguard.testing.samples import (
        NOW,
        failed_scanner,
        sample_finding,
        sample_image,
        sample_image_verdict,
        sample_report,
        sample_scanner,
        sample_verdict,
    )
    from scanguard.testing.scripted import ScriptedScanner, scripted_report
    from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest
    from scanguard.testing.service import FakeService
    from scanguard.testing.sources import MemorySource

_HOMES = {
    "scanguard.testing.answering": "unreachable_url",
    "scanguard.testing.commands": "FakeApplication invoke",
    "scanguard.testing.contexts": "WatchedHttp make_context",
    "scanguard.testing.images": "BuiltImage build_image build_index write_oci_archive write_oci_folder",
    "scanguard.testing.memory": "Crash ManualClock MemoryBackend",
    "scanguard.testing.registry": "FakeRegistry",
    "scanguard.testing.rig": "Rig RigScanner",
    "scanguard.testing.samples": (
        "failed_scanner sample_finding sample_image sample_image_verdict sample_report sample_scanner "
        "sample_verdict NOW"
    ),
    "scanguard.testing.scripted": "ScriptedScanner scripted_report",
    "scanguard.testing.server": "Answer LoopbackServer ReceivedRequest",
    "scanguard.testing.service": "FakeService",
    "scanguard.testing.sources": "MemorySource",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "NOW",
    "Answer",
    "BuiltImage",
    "Crash",
    "FakeApplication",
    "FakeRegistry",
    "FakeService",
    "LoopbackServer",
    "ManualClock",
    "MemoryBackend",
    "MemorySource",
    "ReceivedRequest",
    "Rig",
    "RigScanner",
    "ScriptedScanner",
    "WatchedHttp",
    "build_image",
    "build_index",
    "failed_scanner",
    "invoke",
    "make_context",
    "sample_finding",
    "sample_image",
    "sample_image_verdict",
    "sample_report",
    "sample_scanner",
    "sample_verdict",
    "scripted_report",
    "unreachable_url",
    "write_oci_archive",
    "write_oci_folder",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
