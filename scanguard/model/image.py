"""An image is its digest, and the platform that runs it."""

from __future__ import annotations

from scanguard.model.base import Digest, Instant, Model
from scanguard.model.reference import ImageReference


class Platform(Model):
    """Operating system and processor an image was built for, in the words of the OCI image index."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/architecture[/variant]``; raises ``ValueError`` on anything else."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(part.isalnum() for part in parts):
            raise ValueError(f"{text!r} is no platform: write os/architecture[/variant], such as linux/amd64")
        return cls(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else "")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class ResolvedImage(Model):
    """What a name meant at one moment: the manifest that runs, and where it can be read.

    ``source`` opens it again: ``registry/repository@digest``, or the local locator (``oci:DIR``,
    ``oci-archive:FILE``, ``docker-archive:FILE``) it was read from.
    """

    name: str
    """The image as the deployment, or the user, named it."""
    source: str
    reference: ImageReference | None
    """The normalised reference; None for a local source."""
    digest: Digest
    """Digest of the platform manifest: what runs, and what every cache is keyed by."""
    index_digest: Digest | None = None
    config_digest: Digest | None = None
    """The "image ID"; what some scanners know an image by."""
    platform: Platform = Platform()
    resolved_at: Instant

    @property
    def repository(self) -> str:
        """``registry/repository`` without tag and digest, or the local locator."""
        return self.reference.name if self.reference else self.source
