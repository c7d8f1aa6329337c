"""Options of the notifier."""

from pydantic import Field
from scanguard import PluginConfig, SecretRef


class CrierConfig(PluginConfig):
    """Which room, and how much of a verdict it gets."""

    webhook: SecretRef = Field(
        description="Address of the room's webhook, by reference: whoever knows it can post there."
    )
    max_images: int = Field(default=10, ge=1, le=18, description="Images of a verdict that get a section of their own.")
    timeout_s: float = Field(default=20.0, gt=0, le=25, description="Seconds one message may take.")
