"""The tree drawn in ``scanguard.errors`` is the tree there is."""

from __future__ import annotations

import re

import pytest

from scanguard import errors

DRAWN = re.compile(r"^(?P<indent>[ │├└─]*)(?P<name>[A-Z]\w+Error)$", re.MULTILINE)


def drawn() -> dict[str, str | None]:
    """Each error of the docstring with the one it stands under."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for match in DRAWN.finditer(errors.__doc__ or ""):
        depth, name = len(match["indent"]), match["name"]
        while above and above[-1][0] >= depth:
            above.pop()
        parents[name] = above[-1][1] if above else None
        above.append((depth, name))
    return parents


def defined() -> dict[str, str | None]:
    root = errors.ScanguardError
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, root)]
    return {one.__name__: None if one is root else one.__bases__[0].__name__ for one in classes}


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    assert drawn() == defined()


@pytest.mark.parametrize("name", sorted(defined()))
def test_every_error_says_when_it_is_raised(name: str) -> None:
    assert vars(errors)[name].__doc__
