"""The tree drawn in the docstring of ``scanguard.errors`` is the tree of its classes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scanguard import errors

BRANCH = re.compile(r"^ {4}(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>\w+)$", re.MULTILINE)


def drawn() -> Iterator[tuple[str, str]]:
    """Each class of the drawing with the class above it."""
    above: list[str] = []
    for found in BRANCH.finditer(errors.__doc__ or ""):
        is_root = "──" not in found[0]
        depth = 0 if is_root else len(found["indent"]) // 4 + 1
        yield found["name"], above[depth - 1] if depth else "Exception"
        above[depth:] = [found["name"]]


def defined() -> Iterator[tuple[str, str]]:
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__:
            yield name, value.__bases__[0].__name__


def test_the_drawing_and_the_classes_agree_in_names_and_parents() -> None:
    assert len(dict(drawn())) > 30
    assert dict(drawn()) == dict(defined())


def test_every_error_says_in_its_docstring_when_it_is_raised() -> None:
    silent = [name for name, _ in defined() if not getattr(errors, name).__doc__]
    assert not silent
