"""For every test of the repository."""

import gc
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("unhurried", settings(), deadline=None)  # a busy machine is no fault; pytest-timeout bounds
settings.load_profile("unhurried")


@pytest.fixture(autouse=True, scope="module")
def what_a_file_left_is_blamed_on_no_other() -> Iterator[None]:
    """On a busy machine a socket is left to the collector now and then, which would fail whatever test runs then."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
