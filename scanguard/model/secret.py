"""Secrets are configured by reference and never by value."""

from __future__ import annotations

import re
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_SHAPE = re.compile(r"([a-z][a-z0-9]*):(\S.*)")


class SecretRef:
    """A reference such as ``env:NAME``, ``file:PATH`` or ``keyvault:vault/secret``.

    It is safe to show: it names the place, not the value. Raises ``ValueError`` on anything without a scheme,
    and does not repeat the text then, because it may be the secret itself.
    """

    __slots__ = ("locator", "scheme")

    def __init__(self, text: str) -> None:
        shape = _SHAPE.fullmatch(text) if isinstance(text, str) else None
        if shape is None:
            raise ValueError(
                "a secret is given by reference, never by value: write env:NAME, file:PATH or keyvault:vault/secret"
            )
        self.scheme, self.locator = shape.groups()

    def __str__(self) -> str:
        return f"{self.scheme}:{self.locator}"

    def __repr__(self) -> str:
        return f"SecretRef({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretRef) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401  # pydantic's own signature
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls(value),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": "^[a-z][a-z0-9]*:", "description": "A secret, by reference."}
