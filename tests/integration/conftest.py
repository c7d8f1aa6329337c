"""Real parts: registries and images. Locally a missing one is a skip that says so; where CI is set, a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import debian_image as debian
import pytest
import registries
from oci_archive import Entry, Image, build_image, layer_tar
from registries import Registry

HERE = Path(__file__).parent
OS_RELEASE = b'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
METADATA = b"Metadata-Version: 2.1\nName: Jinja2\nVersion: 2.10\n"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a real part."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that asks nobody."""
    with registries.open_registry(tmp_path_factory.mktemp("open-registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def basic_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with user and password: ``registry.auth``."""
    with registries.basic_registry(tmp_path_factory.mktemp("basic-registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def token_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with bearer tokens; ``registry.tokens`` is its token server, which keeps what it was asked."""
    with registries.token_registry(tmp_path_factory.mktemp("token-registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def small_image() -> Image:
    """An image of three files: a Debian release, an empty package database, one old Python package."""
    base = [Entry("etc/os-release", OS_RELEASE), Entry("var/lib/dpkg/status", b"")]
    site = "usr/lib/python3/dist-packages/Jinja2-2.10.dist-info"
    layers = [layer_tar(base, mtime=0), layer_tar([Entry(f"{site}/METADATA", METADATA)], mtime=0)]
    return build_image(layers, created="2024-10-10T00:00:00Z", config={"Cmd": ["sh"]})


@pytest.fixture(scope="session")
def debian_image() -> Image:
    """Debian 12 by debootstrap with a layer of old pip packages; kept between runs."""
    return debian.debian_image()
