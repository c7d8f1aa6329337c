"""Writes a new folder whole or not at all, and never over one that is there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from scanguard.errors import PluginError, ScanguardError


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a new folder; until all are there, the folder is not.

    Args:
        folder: The folder to make; the one above it is there already.
        files: Texts by path below it.

    Raises:
        PluginError: Something of that name is there already.
        ScanguardError: A file cannot be written; nothing is left behind.
    """
    if os.path.lexists(folder):
        raise PluginError(
            f"{folder} is there already and is left as it is: move it away, choose another name, "
            "or say where else with --directory",
            target=str(folder),
        )
    unfinished = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        _write(unfinished, files)
        unfinished.rename(folder)
    except OSError as exc:
        raise ScanguardError(f"cannot write {folder}: {exc.strerror or exc}", target=str(folder)) from exc
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
