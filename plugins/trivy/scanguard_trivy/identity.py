"""Whether a report is about the image asked for. Pure."""

from __future__ import annotations

from typing import Final

from scanguard.errors import ScannerOutputError
from scanguard.model.image import ResolvedImage
from scanguard_trivy.report import TrivyReport

CONTAINER_IMAGE: Final = "container_image"


def confirm_image(report: TrivyReport, image: ResolvedImage) -> bool:
    """Whether a report names the image; for an image of this machine, whether its configuration is the one copied.

    Raises:
        ScannerOutputError: It names another one, or is not about an image at all.
    """
    if report.artifact_type != CONTAINER_IMAGE:
        raise ScannerOutputError("Trivy's report is not about a container image", plugin="trivy", target=image.source)
    named = {name.rpartition("@")[2] for name in report.metadata.repo_digests or ()}
    if named and image.digest not in named:
        raise _another(image, "another digest")
    image_id = report.metadata.image_id
    if image_id and image.config_digest and image_id != image.config_digest:
        raise _another(image, "another image ID")
    if image.reference is None:
        return bool(image_id) and image_id == image.config_digest
    return bool(named) or report.artifact_name.endswith(f"@{image.digest}")


def _another(image: ResolvedImage, what: str) -> ScannerOutputError:
    return ScannerOutputError(
        f"asked for {image.digest}, Trivy's report names {what}", plugin="trivy", target=image.source
    )
