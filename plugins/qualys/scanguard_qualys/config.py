"""Options of the Qualys scanner: which of the three ways to ask, where, as whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from scanguard.hooks import PluginConfig
from scanguard.model.secret import SecretRef
from scanguard_qualys.pods import POD_NAMES, gateway_of
from scanguard_qualys.qscanner.options import QscannerOptions

_RESERVED = frozenset({"imageId", "registry", "repository", "tag", "scannerApplianceId"})


class Mode(StrEnum):
    """How Qualys is asked."""

    ONDEMAND = "ondemand"
    PLATFORM = "platform"
    QSCANNER = "qscanner"


def _text_or_reference(value: object) -> object:
    """An address is written as it is; anything else is a secret reference."""
    if isinstance(value, str) and not value.startswith(("https://", "http://")):
        return SecretRef(value)
    return value


def _address(value: object) -> object:
    found = _text_or_reference(value)
    if isinstance(found, str):
        if any(character in found for character in " @?#\\") or found.rstrip("/") in ("https:", "http:"):
            raise ValueError(
                "this must be https://host, perhaps with a port and a path; credentials have keys of their own"
            )
        return found.rstrip("/")
    return found


Address = Annotated[str | SecretRef, BeforeValidator(_address)]
"""``https://host[:port][/path]``, or a secret reference to one."""


def _id_or_reference(value: object) -> object:
    """An id is written as it is; what has a scheme is a secret reference."""
    return SecretRef(value) if isinstance(value, str) and re.match(r"[a-z][a-z0-9]*:\S", value) else value


class QualysConfig(PluginConfig):
    """How to ask Qualys."""

    mode: Mode = Field(
        description="How Qualys is asked. `platform`: the public Container Security API, which knows what sensors and "
        "registry jobs have scanned. `qscanner`: Qualys' program, run here; works for every image that can be pulled. "
        "`ondemand`: a gateway of your own that takes POST /csapi/v1.3/images/scan, which Qualys' public reference "
        "does not list."
    )
    pod: str | None = Field(
        default=None,
        description=f"Your platform, by its name: {', '.join(POD_NAMES)}; `url` says where it is otherwise.",
    )
    url: Address | None = Field(
        default=None,
        description="Base address, or a secret reference to it: the gateway (`platform`, `qscanner`; instead of `pod`) "
        "or the on-demand service.",
    )
    username: SecretRef | None = Field(default=None, description="The user, by secret reference.")
    password: SecretRef | None = Field(default=None, description="The password, by secret reference.")
    registry_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="`platform`: id of the registry in Qualys; then every scan starts an on-demand registry job, which "
        "needs a registry sensor. Without it the plugin waits for what sensors find.",
    )
    force_scan: bool = Field(
        default=False,
        description="`platform`: asks jobs to scan again what is known, and takes no record that is older "
        "than the request. Your subscription must have that feature.",
    )
    appliance_id: Annotated[SecretRef | str, BeforeValidator(_id_or_reference)] | None = Field(
        default=None, description="`ondemand`: sent as scannerApplianceId when it is set; a secret reference works too."
    )
    scan_options: Mapping[str, JsonValue] = Field(
        default={}, description="`ondemand`: further fields of the request, such as those of a scan profile."
    )
    image_id: Literal["digest", "config"] = Field(
        default="digest", description="`ondemand`: which digest is sent as imageId, the manifest's or the config's."
    )
    idempotency_key: bool = Field(
        default=True,
        description="`ondemand`: sends an Idempotency-Key, so that a service that knows it refuses doubles.",
    )
    compliance: bool = Field(default=True, description="`platform`: asks for compliance results too.")
    poll_interval_s: float = Field(
        default=10.0,
        ge=1,
        le=3600,
        description="Seconds between two questions after one scan, at least; the quota decides.",
    )
    timeout_s: float = Field(
        default=1800.0, ge=10, le=86_400, description="Seconds a scan may take before it is given up."
    )
    poll_batch: int = Field(
        default=1,
        ge=1,
        le=50,
        description="`platform`: scans that are asked after with one request. More than 1 needs a search (QQL) with "
        "`or`, which is not verified against the service.",
    )
    digest_filter: str = Field(
        default="repoDigests.digest",
        pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,63}$",
        description="`platform`: search token for images whose config digest is not known. Not verified.",
    )
    page_size: int = Field(default=500, ge=1, le=1000, description="`platform`: vulnerabilities in one answer.")
    request_timeout_s: float = Field(default=30.0, gt=0, le=600, description="Seconds one request may take.")
    max_answer_bytes: int = Field(
        default=100 * 1024 * 1024, ge=1024, le=1024**3, description="Bytes of one answer that are read."
    )
    token_life_s: float = Field(
        default=4 * 3600.0, ge=60, le=86_400, description="Seconds a login token of the gateway is good for."
    )
    access_token: SecretRef | None = Field(
        default=None, description="`qscanner`: a token to use instead of logging in with `username` and `password`."
    )
    qscanner: QscannerOptions | None = Field(default=None, description="`qscanner`: the program and how it is run.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Each mode has what it needs, so that nothing is found missing when the first image comes."""
        if self.pod is not None and self.url is None:
            gateway_of(self.pod)
        missing = [key for key in self._needed() if getattr(self, key.partition(" ")[0]) is None]
        if self.mode is not Mode.ONDEMAND and self.pod is None and self.url is None:
            missing.append("pod (or url)")
        if missing:
            raise ValueError(f"mode {self.mode} needs {', '.join(missing)}")
        if reserved := _RESERVED & self.scan_options.keys():
            raise ValueError(f"scan_options cannot set {', '.join(sorted(reserved))}: the image says it")
        return self

    def _needed(self) -> list[str]:
        if self.mode is Mode.ONDEMAND:
            return ["url", "username", "password"]
        if self.mode is Mode.PLATFORM or self.access_token is None:
            return ["username", "password", *(["qscanner"] if self.mode is Mode.QSCANNER else [])]
        return ["qscanner"]

    def result_options(self) -> Mapping[str, Any]:
        """What changes a result; time-outs, limits and credentials do not."""
        names = {"mode", "pod", "url", "registry_id", "force_scan", "appliance_id", "scan_options", "compliance"}
        options: dict[str, Any] = self.model_dump(mode="json", include=names)
        if self.mode is Mode.QSCANNER and self.qscanner is not None:
            options["qscanner"] = self.qscanner.result_options()
        return options
