"""What plugin authors test with: contract suites, fakes on real sockets, strategies.

========================================  ==========================================================================
:mod:`scanguard.testing.contracts`        a test class for each kind of plugin, to subclass
:mod:`scanguard.testing.contexts`         ``make_context``: what the engine lends, watched
:mod:`scanguard.testing.memory`           ``ManualClock``, ``MemoryBackend``: time and ports in a test's hands
:mod:`scanguard.testing.answering`        ``answering``: a web server that gives one answer to everything
:mod:`scanguard.testing.server`           ``LoopbackServer``: a web server with a handler, and ways to misbehave
:mod:`scanguard.testing.service`          ``FakeService``: the same over HTTPS, with a certificate to trust
:mod:`scanguard.testing.registry`         ``FakeRegistry``: an OCI registry with tokens, limits and faults
:mod:`scanguard.testing.images`           images, layer by layer, and OCI folders of them
:mod:`scanguard.testing.rig`              ``Rig``: the engine on a bench, with a scripted scanner; kill it anywhere
:mod:`scanguard.testing.samples`          a verdict, a report, a finding, as examples
:mod:`scanguard.testing.strategies`       hypothesis strategies: reports, verdicts, events, notices
:mod:`scanguard.testing.commands`         ``invoke``: the command line in process
========================================  ==========================================================================

Import from those modules; nothing here loads pytest, hypothesis or trustme before it is used.
"""
