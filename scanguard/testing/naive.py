"""The files of an image by the plainest rules: dictionaries of whole paths, one layer after the other.

Slow, all in memory, and written without the reader's structures, so that the two can be held against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from scanguard.testing.tars import Directory, Entry, Link, Special, Symlink

Paths: TypeAlias = dict[str, "bytes | Symlink | Directory | Special"]


def final_view(layers: Iterable[Iterable[tuple[str, Entry]]]) -> Paths:
    """What is at every path of the image, lowest layer first; symbolic links as they are."""
    view: Paths = {}
    for layer in layers:
        own: Paths = {}
        hidden: set[str] = set()
        emptied: set[str] = set()
        for name, entry in layer:
            _unpack(own, hidden, emptied, name, entry)
        for path in hidden:
            _remove(view, path)
        for path in emptied:
            for other in [other for other in view if not path or other.startswith(f"{path}/")]:
                del view[other]
        for path, node in own.items():
            if not (isinstance(node, Directory) and isinstance(view.get(path), Directory)):
                _remove(view, path)
            view[path] = node
    return view


def real_path(view: Paths, path: str) -> str | None:
    """Where a path leads; None for a loop."""
    rest, done, links = [part for part in path.split("/") if part not in ("", ".")], "", 0
    while rest:
        part = rest.pop(0)
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{part}" if done else part
        node = view.get(here)
        if isinstance(node, Symlink):
            links += 1
            if links > 40:
                return None
            done = "" if node.target.startswith("/") else done
            rest = [piece for piece in node.target.split("/") if piece not in ("", ".")] + rest
        else:
            done = here
    return done


def _unpack(own: Paths, hidden: set[str], emptied: set[str], name: str, entry: Entry) -> None:
    path = _place(own, name)
    folder, _, base = path.rpartition("/")
    if not base:
        return
    if base == ".wh..wh..opq":
        _make_folders(own, path)
        emptied.add(folder)
    elif base.startswith(".wh..wh."):
        return
    elif base.startswith(".wh."):
        _make_folders(own, path)
        hidden.add(f"{folder}/{base[4:]}" if folder else base[4:])
    else:
        node: bytes | Symlink | Directory | Special
        if isinstance(entry, Link):
            target = _place(own, entry.target)
            found = own.get(target)
            node = Symlink(f"/{entry.target}") if found is None else found
        else:
            node = entry
        _make_folders(own, path)
        if not (isinstance(node, Directory) and isinstance(own.get(path), Directory)):
            _remove(own, path)
        own[path] = node


def _place(own: Paths, name: str) -> str:
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    if not parts:
        return ""
    folder = real_path(own, "/".join(parts[:-1]))
    if folder is None:
        raise RecursionError(name)
    return f"{folder}/{parts[-1]}" if folder else parts[-1]


def _make_folders(own: Paths, path: str) -> None:
    parts = path.split("/")
    for length in range(1, len(parts)):
        folder = "/".join(parts[:length])
        if not isinstance(own.get(folder), Directory):
            _remove(own, folder)
            own[folder] = Directory()


def _remove(paths: Paths, path: str) -> None:
    for other in [other for other in paths if other == path or other.startswith(f"{path}/")]:
        del paths[other]
