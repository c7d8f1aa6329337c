"""Image references: the grammar of distribution/reference, and Docker's normalisation on top of it.

Grammar: https://github.com/distribution/reference (reference.go, regexp.go, normalize.go at 0965666a).
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, NoReturn

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from scanguard.errors import InvalidReferenceError
from scanguard.model.path_pattern import compile_path_pattern

DEFAULT_REGISTRY: Final = "docker.io"
LEGACY_REGISTRY: Final = "index.docker.io"
OFFICIAL_PREFIX: Final = "library/"
DEFAULT_TAG: Final = "latest"
MAX_NAME_LENGTH: Final = 255
"""Longest repository name without the registry, as distribution/reference has it."""
MAX_LENGTH: Final = 1024
"""Longest text that is looked at: registry, name, tag (128) and digest (135) fit."""

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_NAME = rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"\w[\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

REFERENCE_PATTERN: Final = re.compile(rf"({_NAME})(?::({_TAG}))?(?:@({_DIGEST}))?", re.ASCII)
"""The whole grammar, as published; match it with ``fullmatch``."""
_NAME_PATTERN: Final = re.compile(_NAME)
_DOMAIN_PATTERN: Final = re.compile(_DOMAIN)
_PATH_PATTERN: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG_PATTERN: Final = re.compile(_TAG, re.ASCII)
_DIGEST_PATTERN: Final = re.compile(_DIGEST)
_IMAGE_ID: Final = re.compile(r"[a-f0-9]{64}")
_HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
# What people write nearly always, normalised in one step; everything else takes the long way below.
_COMMON: Final = re.compile(
    rf"(?:((?:{_LABEL}(?:\.{_LABEL})+(?::[0-9]+)?|{_LABEL}:[0-9]+|localhost)(?=/))/)?"
    rf"({_COMPONENT}(?:/{_COMPONENT})*)(?::({_TAG}))?"
    rf"(?:@(sha256:[0-9a-f]{{64}}|sha384:[0-9a-f]{{96}}|sha512:[0-9a-f]{{128}}))?",
    re.ASCII,
)


class SplitReference(NamedTuple):
    """The parts of a reference as it stands, nothing filled in; parts that are not there are empty."""

    domain: str
    path: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Domain and path."""
        return f"{self.domain}/{self.path}" if self.domain else self.path


def split_reference(text: str, *, written: str | None = None) -> SplitReference:
    """Split by the grammar alone, as distribution/reference's ``Parse`` does.

    Args:
        text: The reference.
        written: What the user wrote, when ``text`` was made from that; errors show it.

    Errors:
        InvalidReferenceError; its ``part`` is ``empty``, ``length``, ``scheme``, ``registry``, ``name``, ``tag`` or
        ``digest``.
    """
    written = written or text
    if not text:
        _refuse(written, "empty", _IS_EMPTY)
    if len(text) > MAX_LENGTH:
        _refuse(written, "length", f"it has {len(text)} characters, more than {MAX_LENGTH}")
    found = REFERENCE_PATTERN.fullmatch(text)
    if found is None:
        _explain(written)
    name, tag, digest = found.groups(default="")
    domain, slash, path = name.partition("/")
    if not slash or not _DOMAIN_PATTERN.fullmatch(domain):
        domain, path = "", name
    if len(path) > MAX_NAME_LENGTH:
        _refuse(written, "length", f"the repository has {len(path)} characters, more than {MAX_NAME_LENGTH}")
    if digest:
        check_digest(digest, written)
    return SplitReference(domain, path, tag, digest)


def check_digest(digest: str, text: str | None = None) -> None:
    """Raise InvalidReferenceError unless a digest is sha256, sha384 or sha512 with as many hex digits as that has."""
    algorithm, _, digits = digest.partition(":")
    expected = _HEX_LENGTHS.get(algorithm)
    if expected is None:
        known = ", ".join(_HEX_LENGTHS)
        _refuse(text or digest, "digest", f"the digest algorithm {_shown(algorithm)} is none of {known}")
    if len(digits) != expected:
        _refuse(text or digest, "digest", f"a {algorithm} digest has {expected} hex digits, this one {len(digits)}")
    if digits.lower() != digits:
        _refuse(text or digest, "digest", "a digest is written in lower case")


class ImageReference:
    """Where an image is: registry, repository, and a tag, a digest or both.

    Immutable and hashable; two are equal when every part is. With a tag *and* a digest the digest decides what
    is meant, and the tag is a label. With neither, the tag is ``latest``.
    """

    __slots__ = ("digest", "registry", "repository", "tag")

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    def __init__(self, registry: str, repository: str, tag: str | None, digest: str | None) -> None:
        set_ = object.__setattr__
        set_(self, "registry", registry)
        set_(self, "repository", repository)
        set_(self, "tag", tag)
        set_(self, "digest", digest)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("an ImageReference does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("an ImageReference does not change")

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Parse and normalise what people write: ``nginx`` is ``docker.io/library/nginx:latest``.

        Raises InvalidReferenceError, whose ``part`` names the part that is wrong.
        """
        if len(text) <= MAX_LENGTH and (found := _COMMON.fullmatch(text)) is not None:
            registry, repository, tag, digest = found.groups()
            if registry is None or registry in {DEFAULT_REGISTRY, LEGACY_REGISTRY}:
                if len(text) == 64 and _IMAGE_ID.fullmatch(text):
                    _refuse(text, "name", _IS_AN_ID)
                registry = DEFAULT_REGISTRY
                if "/" not in repository:
                    repository = OFFICIAL_PREFIX + repository
            if len(repository) <= MAX_NAME_LENGTH:
                return cls(registry, repository, tag if tag or digest else DEFAULT_TAG, digest)
        return cls._parse_rare(text)

    @classmethod
    def _parse_rare(cls, text: str) -> ImageReference:
        text = text.strip(" \t\r\n")
        if _IMAGE_ID.fullmatch(text):
            _refuse(text, "name", _IS_AN_ID)
        domain, rest = _split_registry(text[: MAX_LENGTH + 1])
        if len(text) > MAX_LENGTH:
            _refuse(text, "length", f"it has {len(text)} characters, more than {MAX_LENGTH}")
        if not text:
            _refuse(text, "empty", _IS_EMPTY)
        if not rest:
            _explain(text)
        _check_repository_case(text, rest)
        parts = split_reference(f"{domain}/{rest}", written=text)
        if parts.domain != domain:
            _refuse(text, "registry", f"{_shown(domain)} is no host name with an optional port")
        return cls(domain, parts.path, parts.tag or (None if parts.digest else DEFAULT_TAG), parts.digest or None)

    @property
    def name(self) -> str:
        """``registry/repository``."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The short form people write: Docker Hub's own prefixes left out, everything else kept."""
        return self.familiar_name + self._suffix

    @property
    def familiar_name(self) -> str:
        """:attr:`familiar` without tag and digest."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        is_official = self.repository.startswith(OFFICIAL_PREFIX) and self.repository.count("/") == 1
        return self.repository.removeprefix(OFFICIAL_PREFIX) if is_official else self.repository

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def matches(self, pattern: str) -> bool:
        """Whether a shell pattern matches :attr:`familiar`, with or without tag and digest (``path.Match`` of Go).

        ``*`` and ``?`` stop at a slash. Raises ``ValueError`` for a pattern that is broken.
        """
        compiled = compile_path_pattern(pattern)
        return any(compiled.fullmatch(text) for text in (self.familiar, self.familiar_name))

    def with_digest(self, digest: str) -> ImageReference:
        """``registry/repository@digest``: exactly one image, the tag left out."""
        check_digest(digest)
        return ImageReference(self.registry, self.repository, None, digest)

    def __str__(self) -> str:
        return self.name + self._suffix

    def __repr__(self) -> str:
        return f"ImageReference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageReference) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __reduce__(self) -> tuple[type[ImageReference], tuple[str, str, str | None, str | None]]:
        return ImageReference, self._parts

    @property
    def _parts(self) -> tuple[str, str, str | None, str | None]:
        return self.registry, self.repository, self.tag, self.digest

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401  # pydantic's own signature
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "maxLength": MAX_LENGTH, "description": "An image reference."}

    @classmethod
    def _validate(cls, value: object) -> ImageReference:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError("an image reference is a text")
        try:
            return cls.parse(value)
        except InvalidReferenceError as exc:
            raise ValueError(exc.message) from exc


_IS_EMPTY = "it is empty; write something like docker.io/library/nginx:1.25"
_IS_AN_ID = "64 hex digits are an image id, not a name; write repository@sha256:… instead"


def _split_registry(text: str) -> tuple[str, str]:
    """Docker's rule for what stands before the first slash (normalize.go, splitDockerDomain)."""
    first, slash, rest = text.partition("/")
    is_registry = slash and (
        first in {"localhost", LEGACY_REGISTRY} or "." in first or ":" in first or first.lower() != first
    )
    if not is_registry:
        first, rest = DEFAULT_REGISTRY, text
    if first == LEGACY_REGISTRY:
        first = DEFAULT_REGISTRY
    if first == DEFAULT_REGISTRY and rest and "/" not in rest:
        rest = OFFICIAL_PREFIX + rest
    return first, rest


def _check_repository_case(text: str, rest: str) -> None:
    # The tag starts at the first colon after the registry (normalize.go, ParseNormalizedNamed).
    repository = re.split("[:@]", rest, maxsplit=1)[0]
    if repository.lower() != repository:
        _refuse(text, "name", "a repository name is written in lower case")


def _explain(text: str) -> NoReturn:
    """Find the part that is wrong, and say what would be right."""
    if "://" in text:
        _refuse(text, "scheme", "leave out the scheme: registry/repository:tag")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST_PATTERN.fullmatch(digest):
        _refuse(text, "digest", f"{_shown(digest)} is no digest; write sha256: and 64 hex digits after the @")
    head, slash, last = rest.rpartition("/")
    if last.startswith("[") and not slash:
        _refuse(text, "name", "this names a registry only; add /repository")
    last, colon, tag = last.partition(":")
    name = head + slash + last
    if colon and not _TAG_PATTERN.fullmatch(tag):
        _refuse(
            text,
            "tag",
            f"{_shown(tag)} is no tag: up to 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'",
        )
    if not name:
        _refuse(text, "name", "the repository is missing")
    domain, slash, path = name.partition("/")
    if slash and (_PATH_PATTERN.fullmatch(path) or not _DOMAIN_PATTERN.fullmatch(domain)):
        looks_like_host = "." in domain or ":" in domain or "[" in domain
        if looks_like_host and not _DOMAIN_PATTERN.fullmatch(domain):
            _refuse(text, "registry", f"{_shown(domain)} is no host name with an optional port")
    if name.lower() != name:
        _refuse(text, "name", "a repository name is written in lower case")
    _refuse(
        text,
        "name",
        "a repository is parts of lower-case letters and digits, separated by '/', with single '.', '_', '__' or "
        "dashes inside a part",
    )


def _shown(text: str, limit: int = 100) -> str:
    """Quoted, control characters escaped, cut."""
    return ascii(text[:limit]) + ("…" if len(text) > limit else "")


def _refuse(text: str, part: str, why: str) -> NoReturn:
    raise InvalidReferenceError(f"{_shown(text)} is no image reference: {why}", part=part, target=text[:MAX_LENGTH])
