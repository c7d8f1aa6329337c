"""Image references: the grammar of distribution/reference and Docker's normalisation."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class ImageReference:
    """Placeholder until the grammar lands in the next commit."""

    __slots__ = ("digest", "registry", "repository", "tag")

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Parse and normalise."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """``registry/repository``."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The short form people write."""
        raise NotImplementedError

    def with_digest(self, digest: str) -> ImageReference:
        """``registry/repository@digest``, the tag dropped."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401  # pydantic's own signature
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(value),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )
