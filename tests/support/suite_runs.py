"""Runs a contract suite, inside a test, over a plugin that is a text."""

from __future__ import annotations

import asyncio
import textwrap

import pytest

import scanguard.testing.contracts  # noqa: F401  # loaded once here, so that not every run inside loads it anew
from scanguard import http
from scanguard.testing import strategies  # noqa: F401  # as above
from scanguard.testing.answering import answering, unreachable_url


@pytest.fixture(scope="module")
def load_everything() -> None:
    """What a run inside is the first to load is forgotten after it: the HTTP library would then exist twice."""

    async def ask() -> None:
        async with http.HttpFactory().client() as client:
            with answering(204) as url:
                await client.get(url)
            with pytest.raises(http.TransportError):
                await client.get(unreachable_url())

    asyncio.run(ask())


def run_suite(pytester: pytest.Pytester, plugin: str, test: str, only: str = "") -> pytest.RunResult:
    """Run the clauses that ``only`` selects, or all; ``{module}`` in the test is the name of the plugin's module."""
    module = f"acme_{abs(hash((plugin, test))):x}"
    pytester.makepyfile(**{module: plugin, f"test_{module}": textwrap.dedent(test).format(module=module)})
    pytester.makepyprojecttoml(
        '[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = "function"\nfilterwarnings = ["error"]'
    )
    pytester.syspathinsert()
    return pytester.runpytest_inprocess(
        "-q", "-x", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *(["-k", only] if only else [])
    )
