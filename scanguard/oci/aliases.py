"""The further paths that symbolic links give to the files of the final view."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from scanguard.oci.filetree import Directory, File, Node, Symlink, lookup, resolve, walk
from scanguard.oci.limits import ReadMeter

MAX_NESTED_DEPTH: Final = 8
"""Components of a path that goes through a second link to a directory.

Package databases lie higher than that, while the links of a JavaScript workspace, which link to each other in
circles, have more paths than anybody can try.
"""
MAX_REPEATED_DEPTH: Final = 6
"""Components of a path that comes to a directory again: enough for ``var/lib/dpkg/status.d/base`` where ``var``,
``lib`` and ``dpkg`` are all links to the root."""


@dataclass(frozen=True, slots=True)
class _Linked:
    """A directory reached through links: by which path, where it really is, and which ones the path went through."""

    alias: str
    real: str
    directory: Directory
    through: tuple[int, ...]
    max_depth: int | None


def aliases(view: Directory, meter: ReadMeter) -> Iterator[tuple[str, File]]:
    """Paths through symbolic links that end at regular files: those through fewest links first.

    All paths through one linked directory; through more, those no longer than the depths above. Raises
    ImageTooLargeError at the limit ``max_alias_paths``.
    """
    todo: deque[_Linked] = deque([_Linked("", "", view, (), None)])
    while todo:
        here = todo.popleft()
        for path, node in walk(here.directory, here.alias, here.max_depth):
            if isinstance(node, Symlink):
                real, found = _follow(view, f"{here.real}{path[len(here.alias) :]}", meter)
                if isinstance(found, File):
                    yield path, found
                elif isinstance(found, Directory) and (entered := _enter(here, path, real, found)):
                    todo.append(entered)
            elif here.through:
                meter.alias()
                if isinstance(node, File):
                    yield path, node


def _enter(here: _Linked, path: str, real: str, directory: Directory) -> _Linked | None:
    """The directory a link leads to, where the path is not too deep for it."""
    max_depth = None
    if id(directory) in here.through:
        max_depth = MAX_REPEATED_DEPTH
    elif here.through:
        max_depth = MAX_NESTED_DEPTH
    if here.max_depth is not None:
        max_depth = min(max_depth or here.max_depth, here.max_depth)
    if max_depth is not None and path.count("/") + 2 > max_depth:
        return None
    return _Linked(path, real, directory, (*here.through, id(directory)), max_depth)


def _follow(view: Directory, path: str, meter: ReadMeter) -> tuple[str, Node | None]:
    meter.alias()
    real = resolve(view, [part for part in path.split("/") if part])
    return ("", None) if real is None else ("/".join(real), lookup(view, real))
