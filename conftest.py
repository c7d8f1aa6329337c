"""For every test of the repository."""

import gc
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("unhurried", settings(), deadline=None)  # a busy machine is no fault; pytest-timeout bounds
settings.load_profile("unhurried")
left_open: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def what_a_file_left_is_blamed_on_no_other(request: pytest.FixtureRequest) -> Iterator[None]:
    """On a busy machine a socket is left to the collector now and then: told of, instead of failing what runs then."""
    yield
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    left_open.extend(f"left open by {request.node.nodeid}, or before: {one.message}" for one in told)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left open."""
    for line in left_open:
        terminalreporter.write_line(line)
