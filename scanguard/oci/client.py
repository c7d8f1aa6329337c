"""Resolve image names and open what they name."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from scanguard.model.image import Platform, ResolvedImage


class ImageReader(Protocol):
    """Placeholder until the reader lands."""


class ImageClient:
    """Placeholder until the client lands."""

    async def resolve(self, name: str, platform: Platform | None = None) -> ResolvedImage:
        """Name → manifest digest → platform manifest."""
        raise NotImplementedError

    def open(self, image: ResolvedImage) -> AbstractAsyncContextManager[ImageReader]:
        """Open a resolved image for reading."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close every connection."""
