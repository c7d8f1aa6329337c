"""Platform ``image``: an image named by hand is a deployment of its own, ``image:NAME``."""

from __future__ import annotations

from typing import Final

from scanguard.hooks import PluginConfig, PluginContext
from scanguard.model.deployment import Container, Deployment

PREFIX: Final = "image:"


class ImagePlatformConfig(PluginConfig):
    """Nothing to configure."""


def owns_image(resource_id: str) -> bool:
    """Whether a resource id names an image."""
    return resource_id[: len(PREFIX)].lower() == PREFIX and len(resource_id) > len(PREFIX)


class ImagePlatform:
    """Describes ``image:NAME`` as one container that runs NAME, which is resolved later like any other."""

    def __init__(self, config: ImagePlatformConfig, context: PluginContext) -> None:
        self._clock = context.clock

    async def describe(self, resource_id: str) -> Deployment | None:
        """The deployment; None for an id of another kind."""
        if not owns_image(resource_id):
            return None
        name = resource_id[len(PREFIX) :]
        return Deployment(
            resource_id=resource_id,
            kind="image",
            name=name,
            containers=(Container(name="image", image=name),),
            seen_at=self._clock.now(),
        )

    async def aclose(self) -> None:
        """Nothing to close."""
