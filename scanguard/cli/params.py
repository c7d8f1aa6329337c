"""Option types of our own, and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from scanguard.model.image import Platform

DEFAULT_LIMIT: Final = 25

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class SinceType(click.ParamType[datetime]):
    """A moment: ``24h``, ``7d``, ``2024-01-15``, or ISO 8601; without a zone it is UTC."""

    name = "since"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it, or fail with the ways to write it."""
        from scanguard.app.stored import parse_since

        if isinstance(value, datetime):
            return value
        try:
            return parse_since(value.strip(), datetime.now(UTC))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no moment: write 30m, 24h, 7d, 2w, 2024-01-15 or 2024-01-15T10:00:00Z", param, ctx)


class PlatformType(click.ParamType[Any]):
    """``os/architecture[/variant]``."""

    name = "platform"

    def convert(self, value: str | Platform, param: click.Parameter | None, ctx: click.Context | None) -> Platform:
        """Read it, or fail with an example."""
        from scanguard.model.image import Platform

        if isinstance(value, Platform):
            return value
        try:
            return Platform.parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def format_option(*formats: str) -> Callable[[Decorated], Decorated]:
    """``--format``, the first being the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="For people, or for machines.",
    )


def judging_options(command: Decorated) -> Decorated:
    """The options of commands that judge: how to look, and how much to show."""
    options = (
        click.option("--scanner", "scanners", multiple=True, metavar="NAME",
                     help="Look with this scanner (an instance or a plugin) instead of the chain's. Repeatable."),
        click.option("--offline", is_flag=True,
                     help="Use no network but the registry that holds the image."),
        click.option("--platform", type=PlatformType(), metavar="OS/ARCH[/VARIANT]",
                     help="Which platform of an image to look at. [default: the deployment's, else linux/amd64]"),
        click.option("--insecure-registry", "insecure_registries", multiple=True, metavar="HOST",
                     help="Allow plain HTTP and private addresses for this registry. Repeatable."),
        click.option("--limit", type=click.IntRange(min=0), default=DEFAULT_LIMIT, show_default=True,
                     help="Most findings shown per image; 0 shows all. JSON is always whole."),
        format_option("table", "json"),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command
