"""What could be loaded: plugins, and of the configuration as much as can be used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scanguard.app.application import data_folder
from scanguard.doctor.crew import Crew
from scanguard.doctor.question import Question
from scanguard.doctor.rescue import Reading, bind_what_can_be, read_what_can_be
from scanguard.errors import ScanguardError
from scanguard.loader import Plugins
from scanguard.settings.bind import Bound
from scanguard.settings.load import Loaded

IMPORT_TIMEOUT_S: Final = 30.0
"""At most half of the whole time: what hangs here must leave some for the rest."""
READ_TIMEOUT_S: Final = 15.0


@dataclass(frozen=True)
class Situation:
    """Where the doctor stands.

    Attributes:
        plugins: What is installed; None when loading did not end.
        plugin_trouble: Why not.
        reading: The configuration as far as it could be read; None when reading did not end.
        reading_trouble: Why not.
        loaded: Settings: the whole, or those parts that are good when ``problems`` says what is not.
        bound: Instances whose options are good; None without plugins or settings.
        problems: Everything that is wrong with the configuration, one line each.
        data_dir: The data folder; None when nobody knows where that is.
    """

    question: Question
    plugins: Plugins | None = None
    plugin_trouble: str = ""
    reading: Reading | None = None
    reading_trouble: str = ""
    loaded: Loaded | None = None
    bound: Bound | None = None
    problems: tuple[str, ...] = field(default=())
    data_dir: Path | None = None

    @property
    def is_whole(self) -> bool:
        """True when the configuration was read and nothing is wrong with it."""
        return self.bound is not None and not self.problems and not self.reading_trouble


async def find_out(question: Question, crew: Crew) -> Situation:
    """Load plugins and configuration side by side; neither hides the other."""
    (plugins, plugin_trouble), (reading, reading_trouble) = await asyncio.gather(
        _plugins(question, crew), _reading(question, crew)
    )
    problems = reading.problems if reading else ()
    loaded = reading.loaded if reading else None
    bound = None
    if loaded is not None and plugins is not None:
        bound, unbound = bind_what_can_be(loaded, plugins)
        problems = (*problems, *(line for line in unbound if line not in problems))
    return Situation(
        question=question,
        plugins=plugins,
        plugin_trouble=plugin_trouble,
        reading=reading,
        reading_trouble=reading_trouble,
        loaded=loaded,
        bound=bound,
        problems=problems,
        data_dir=folder_of(question),
    )


async def find_backend(question: Question, crew: Crew) -> Situation:
    """The same for areas that ask only where things are kept: plugins are loaded when the configuration names one."""
    reading, trouble = await _reading(question, crew)
    if reading is not None and reading.loaded is not None and reading.loaded.document.data.get("backend") is not None:
        return await find_out(question, crew)
    return Situation(question=question, reading=reading, reading_trouble=trouble, data_dir=folder_of(question))


async def _plugins(question: Question, crew: Crew) -> tuple[Plugins | None, str]:
    async def load() -> Plugins:
        return question.load(question.options.environ)

    try:
        return await crew.run(load, min(IMPORT_TIMEOUT_S, question.timeout_s / 2)), ""
    except TimeoutError:
        return None, "importing the installed plugins did not end in time"
    except Exception as exc:  # the doctor goes on, whatever broke
        return None, f"loading plugins failed: {_words(exc)}"


async def _reading(question: Question, crew: Crew) -> tuple[Reading | None, str]:
    async def read() -> Reading:
        return read_what_can_be(question.options)

    try:
        return await crew.run(read, min(READ_TIMEOUT_S, question.timeout_s / 2)), ""
    except TimeoutError:
        return None, "reading the configuration did not end in time"
    except Exception as exc:  # the doctor goes on, whatever broke
        return None, f"reading the configuration failed: {_words(exc)}"


def folder_of(question: Question) -> Path | None:
    """The data folder; None when nobody knows where that is."""
    try:
        return data_folder(question.options)
    except (ImportError, OSError, RuntimeError):  # no home, or no library that finds it
        return None


def _words(exc: Exception) -> str:
    return exc.message if isinstance(exc, ScanguardError) else type(exc).__name__
