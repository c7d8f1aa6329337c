"""Which program an image starts, and whether a package accounts for it.

A program that was copied into an image (a static Go binary, a self-built interpreter) shows in no package
database, and its name does not tell what is in it. Looking for all of those would need every file's bytes;
the one the image starts is named in its config, costs nothing to check, and matters most.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT_ENDINGS = (".sh", ".bash", ".py", ".pl", ".rb", ".js", ".mjs", ".php", ".lua")
_WRAPPERS = frozenset(("tini", "dumb-init", "env", "catatonit", "docker-init", "su-exec", "gosu", "setpriv"))
_MAX_WORDS = 32


def start_candidates(config: Mapping[str, object]) -> Sequence[Sequence[str]]:
    """For each word of the start command, the paths it may stand for, best first; no leading slashes."""
    inner = config.get("config")
    settings = inner if isinstance(inner, Mapping) else {}
    folders = _search_path(settings.get("Env"))
    home = settings.get("WorkingDir")
    words = [*_words(settings.get("Entrypoint")), *_words(settings.get("Cmd"))][:_MAX_WORDS]
    return [_paths(word, folders, home if isinstance(home, str) else "/") for word in words]


def started_program(start: Sequence[Sequence[str]], present: Collection[str], owned: Collection[str]) -> str | None:
    """The program the image starts, if it is there and no package owns it.

    Scripts (by their ending), wrappers such as ``tini``, and words that name no file are passed over. Later
    words are arguments once a program was found, so the search ends there.
    """
    for paths in start:
        path = next((path for path in paths if path in present), None)
        if path is None or path.endswith(_SCRIPT_ENDINGS) or posixpath.basename(path) in _WRAPPERS:
            continue
        return None if _is_owned(path, owned) else path
    return None


def _is_owned(path: str, owned: Collection[str]) -> bool:
    """Packages list ``/bin/sh`` where a merged ``/usr`` has ``/usr/bin/sh``, and the other way round."""
    other = path.removeprefix("usr/") if path.startswith("usr/") else f"usr/{path}"
    return path in owned or other in owned


def _paths(word: str, folders: Sequence[str], home: str) -> Sequence[str]:
    places = (
        [word]
        if word.startswith("/")
        else [posixpath.join(home, word)]
        if "/" in word
        else [posixpath.join(folder, word) for folder in folders]
    )
    plain = [posixpath.normpath(place).lstrip("/") for place in places]
    both = [
        path for one in plain for path in (one, one.removeprefix("usr/") if one.startswith("usr/") else f"usr/{one}")
    ]
    return list(dict.fromkeys(both))


def _search_path(env: object) -> Sequence[str]:
    lines = [line for line in env if isinstance(line, str)] if isinstance(env, list) else []
    path = next((line[5:] for line in lines if line.startswith("PATH=")), _DEFAULT_PATH)
    return [folder for folder in path.split(":") if folder.startswith("/")]


def _words(value: object) -> Sequence[str]:
    return [word for word in value if isinstance(word, str) and word] if isinstance(value, list) else []
