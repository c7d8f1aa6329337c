"""For every test of the repository."""

import gc
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("unhurried", settings(), deadline=None)  # a busy machine is no fault; pytest-timeout bounds
settings.load_profile("unhurried")


@pytest.fixture(autouse=True, scope="module")
def what_a_file_left_is_blamed_on_no_other(request: pytest.FixtureRequest) -> Iterator[None]:
    """On a busy machine a socket is left to the collector now and then: told of, instead of failing what runs then."""
    yield
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    for one in told if reporter else ():
        reporter.write_line(f"left open by {request.node.nodeid}, or before: {one.message}")
