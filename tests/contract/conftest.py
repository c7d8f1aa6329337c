"""For tests of the contract suites."""

import gc
import sys
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_of_bad_plugins_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """Plugins that suites are tried on leave sockets open: gone before the next test could be blamed for them."""
    yield
    if "pytester" in request.fixturenames:
        for name in ("last_exc", "last_type", "last_value", "last_traceback"):  # pytest keeps what failed last
            vars(sys).pop(name, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
