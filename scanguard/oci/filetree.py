"""The names of a file system: of one layer while it is read, and of all layers merged.

The rules are those of the OCI image specification (``layer.md``: whiteouts, opaque directories, which hide what
is in *lower* layers only) and of overlayfs (what is no directory hides all below it, a directory merges with
directories only). Within a layer names are unpacked in order, through the symbolic links the layer made before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

MAX_LINKS: Final = 40
"""Symbolic links followed for one path, as Linux does (``MAXSYMLINKS``)."""


class File:
    """A regular file: where its bytes are."""

    __slots__ = ("is_linked", "layer", "ordinal", "size")

    def __init__(self, layer: int, ordinal: int, size: int) -> None:
        self.layer = layer
        self.ordinal = ordinal
        self.size = size
        self.is_linked = False
        """Whether the layer gives it another name too."""


class Symlink:
    """A symbolic link, as written."""

    __slots__ = ("target",)

    def __init__(self, target: str) -> None:
        self.target = target


class Special:
    """A device or fifo."""

    __slots__ = ()


class Directory:
    """A directory; ``hidden`` and ``is_opaque`` are about what lower layers may add."""

    __slots__ = ("children", "hidden", "is_opaque")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.hidden: set[str] | None = None
        self.is_opaque = False

    def hide(self, name: str) -> None:
        """Nothing of this name comes from below."""
        self.hidden = self.hidden or set()
        self.hidden.add(name)


Node: TypeAlias = File | Symlink | Special | Directory


def split(name: str) -> list[str]:
    """The components of a name, contained in the root: ``..`` of the root is the root."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part and part != ".":
            parts.append(part)
    return parts


def resolve(root: Directory, parts: list[str], *, follow_last: bool = True) -> list[str] | None:
    """Where a path leads, symbolic links followed; names that do not exist are taken as they are.

    Returns:
        The real components, or None for a loop (or more than 40 links).
    """
    todo = parts[::-1]
    real: list[str] = []
    chain = [root]
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if real:
                real.pop()
                del chain[max(len(real) + 1, 1) :]
            continue
        # Below a name that does not exist, or is no directory, the chain is shorter than the path.
        node = chain[-1].children.get(part) if len(chain) == len(real) + 1 else None
        if isinstance(node, Symlink) and (todo or follow_last):
            links += 1
            if links > MAX_LINKS:
                return None
            if node.target.startswith("/"):
                real, chain = [], [root]
            todo.extend(piece for piece in reversed(node.target.split("/")) if piece and piece != ".")
            continue
        real.append(part)
        if isinstance(node, Directory):
            chain.append(node)
    return real


def lookup(root: Directory, parts: list[str]) -> Node | None:
    """What is at a real path."""
    node: Node | None = root
    for part in parts:
        node = node.children.get(part) if isinstance(node, Directory) else None
    return node


def is_hidden(view: Directory, parts: list[str]) -> bool:
    """Whether the layers above leave no place for a file of a lower layer at this path."""
    here: Node = view
    for part in parts:
        if not isinstance(here, Directory) or here.is_opaque or (here.hidden and part in here.hidden):
            return True
        child = here.children.get(part)
        if child is None:
            return False
        here = child
    return True


def place(root: Directory, parts: list[str], node: Node) -> None:
    """Put a node at a real path, making directories of what is in the way."""
    here = directory_at(root, parts[:-1])
    before = here.children.get(parts[-1])
    if not (isinstance(node, Directory) and isinstance(before, Directory)):
        here.children[parts[-1]] = node


def directory_at(root: Directory, parts: list[str]) -> Directory:
    """The directory at a real path, made where there is none."""
    here = root
    for part in parts:
        child = here.children.get(part)
        if not isinstance(child, Directory):
            child = here.children[part] = Directory()
        here = child
    return here


def merge(upper: Directory, lower: Directory) -> None:
    """Add a lower layer below what is there already; ``lower`` is used up."""
    if upper.is_opaque:
        return
    for name, child in lower.children.items():
        if upper.hidden and name in upper.hidden:
            continue
        own = upper.children.setdefault(name, child)
        if own is child or not isinstance(own, Directory):
            continue
        if isinstance(child, Directory):
            merge(own, child)
        else:
            own.is_opaque = True
    upper.is_opaque = lower.is_opaque
    if lower.hidden:
        upper.hidden = upper.hidden | lower.hidden if upper.hidden else lower.hidden


def walk(directory: Directory, prefix: str = "", max_depth: int | None = None) -> Iterator[tuple[str, Node]]:
    """Every name that is no directory, by path, in no certain order; no link is followed.

    ``max_depth`` leaves out paths of more components, those of the prefix counted.
    """
    todo = [(prefix, directory)]
    while todo:
        path, here = todo.pop()
        for name, child in here.children.items():
            full = f"{path}/{name}" if path else name
            if not isinstance(child, Directory):
                yield full, child
            elif max_depth is None or full.count("/") + 2 <= max_depth:
                todo.append((full, child))
