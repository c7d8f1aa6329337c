"""What the tests of the Trivy plugin share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_trivy import Credentials, FakeTrivy, remote_image

from scanguard.hooks import PluginContext, ScanRequest
from scanguard.model.image import ResolvedImage
from scanguard.oci.credentials import RegistryCredential
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts import CANARY, CANARY_REFERENCE
from scanguard.testing.samples import NOW


@pytest.fixture
def trivy(tmp_path: Path) -> FakeTrivy:
    return FakeTrivy(tmp_path / "program")


@pytest.fixture
def make_trivy(tmp_path: Path) -> Callable[[str], FakeTrivy]:
    return lambda name: FakeTrivy(tmp_path / name)


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    """Where scans work; empty again after each."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def lend(tmp_path: Path) -> Callable[..., PluginContext]:
    """Make a context; ``credentials`` by registry."""

    def make(
        *, credentials: Mapping[str, RegistryCredential] | None = None, now: datetime = NOW, **more: Any
    ) -> PluginContext:
        images = more.pop("images", None) or Credentials(credentials or {})
        secrets = {CANARY_REFERENCE: CANARY, **more.pop("secrets", {})}
        return make_context(tmp_path, images=images, secrets=secrets, now=now, **more)

    return make


@pytest.fixture
def request_for() -> Callable[..., ScanRequest]:
    def make(image: ResolvedImage | None = None, *, deadline_s: float = 3600) -> ScanRequest:
        return ScanRequest(key="k", image=image or remote_image(), deadline=NOW + timedelta(seconds=deadline_s))

    return make
