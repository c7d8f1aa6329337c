"""Options of the scanner."""

from typing import Literal

from pydantic import Field
from scanguard import PluginConfig, SecretRef


class PlumblineConfig(PluginConfig):
    """Which service, and how it is asked."""

    url: str = Field(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$", description="Base address of the service.")
    token: SecretRef = Field(description="What to log in with, by reference.")
    profile: Literal["quick", "full"] = Field(
        default="full", description="`quick` looks at distribution packages only; `full` at languages' packages too."
    )
    poll_s: float = Field(
        default=10.0, ge=1, le=600, description="Seconds between questions after a scan; the service may ask for more."
    )
    request_timeout_s: float = Field(default=30.0, gt=0, le=120, description="Seconds one question may take.")
