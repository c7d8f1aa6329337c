"""A secret as Key Vault's REST interface writes it: only what is used, and strictly.

https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from scanguard_azure.kept import Fetched
from scanguard_azure.vault.reference import VaultReference
from scanguard_azure.vault.refusals import unavailable, wrong

MAX_ANSWER_BYTES: Final = 256 * 1024
"""A secret has 25 kB at most; a JSON text of it may be six times as long."""
_Moment = Annotated[int, Field(strict=True, ge=0, le=253_402_300_799)]


class _Attributes(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    enabled: bool = True
    nbf: _Moment | None = None
    exp: _Moment | None = None


class _Secret(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    value: SecretStr | None = None
    attributes: _Attributes = _Attributes()


def read_secret(reference: VaultReference, host: str, data: bytes, now: datetime) -> Fetched:
    """The value and its end.

    Key Vault answers with secrets that have ended or not begun; such a one is not used: SecretError.
    """
    try:
        found = _Secret.model_validate_json(data)
    except ValidationError:  # it would be chained to what was answered
        raise unavailable(reference, f"{host} answered something unreadable") from None
    value = "" if found.value is None else found.value.get_secret_value().removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise wrong(reference, "it is empty")
    return Fetched(SecretStr(value), _usable(reference, found.attributes, now))


def _usable(reference: VaultReference, about: _Attributes, now: datetime) -> datetime | None:
    """When it ends; None where nobody says."""
    if not about.enabled:
        raise wrong(reference, "it is disabled: enable it, or name another version")
    if about.nbf is not None and now < (begins := _moment(about.nbf)):
        raise wrong(reference, f"it is not valid before {begins:%Y-%m-%d %H:%M} UTC")
    if about.exp is None:
        return None
    ends = _moment(about.exp)
    if now >= ends:
        raise wrong(reference, f"it ended on {ends:%Y-%m-%d %H:%M} UTC: renew it in the vault")
    return ends


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
