"""What is wrong with a configuration, in words: where it stands, which key, what would be right.

Values are never shown: an option may be a secret that was written where a reference was due.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from scanguard.errors import ConfigError
from scanguard.settings.source import Document, KeyPath

_WORDS: Final = {
    "missing": "this key is missing",
    "extra_forbidden": "unknown key",
    "string_type": "this must be text",
    "int_type": "this must be a whole number",
    "int_parsing": "this must be a whole number",
    "float_type": "this must be a number",
    "float_parsing": "this must be a number",
    "bool_type": "this must be true or false",
    "bool_parsing": "this must be true or false",
    "tuple_type": "this must be a list",
    "list_type": "this must be a list",
    "dict_type": "this must be a mapping of keys to values",
    "mapping_type": "this must be a mapping of keys to values",
    "model_type": "this must be a mapping of keys to values",
    "string_pattern_mismatch": "this does not have the right form",
    "time_delta_parsing": "this is no duration: write 90s, 30m, 24h or 7d",
    "time_delta_type": "this is no duration: write 90s, 30m, 24h or 7d",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` for the known name that is nearest, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def problem(document: Document, path: KeyPath, what: str) -> str:
    """One line: place, key path, what is wrong."""
    dotted = ".".join(str(part) for part in path)
    return f"{document.place(path)}: {dotted + ': ' if dotted else ''}{what}"


def validation_problems(
    exc: ValidationError, document: Document, model: type[BaseModel], prefix: KeyPath = ()
) -> list[str]:
    """Every fault pydantic found, one line each."""
    lines = []
    for fault in exc.errors(include_url=False, include_input=False, include_context=True):
        path = (*prefix, *_written_path(fault["loc"], document, prefix))
        lines.append(problem(document, path, _words(fault, model)))
    return list(dict.fromkeys(lines))


def refuse(problems: list[str]) -> None:
    """Raise one ConfigError with every problem, if there is any."""
    if problems:
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"the configuration has {count}", problems=tuple(problems))


def _written_path(loc: tuple[int | str, ...], document: Document, prefix: KeyPath) -> KeyPath:
    """Leave out what the reader of the file did not write: ``use`` of a plain list, names of union members."""
    path: KeyPath = ()
    for index, part in enumerate(loc):
        candidate = (*prefix, *path, part)
        is_last = index == len(loc) - 1
        if candidate in document.places or (is_last and part not in {"use"} and not _is_internal(part)):
            path = (*path, part)
    return path


def _is_internal(part: int | str) -> bool:
    return isinstance(part, str) and ("[" in part or part in {"function-before", "literal", "bool", "tuple"})


def _words(fault: Any, model: type[BaseModel]) -> str:  # noqa: ANN401  # pydantic's ErrorDetails, read as a mapping
    kind = fault["type"]
    if kind == "extra_forbidden":
        return "unknown key" + nearest(str(fault["loc"][-1]), _fields_at(model, fault["loc"][:-1]))
    if kind == "missing":
        described = _description(model, fault["loc"])
        return f"{_WORDS[kind]}: {described}" if described else _WORDS[kind]
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in {"literal_error", "enum"}:
        return f"this must be {fault['ctx']['expected']}"
    message = str(fault["msg"])
    return message.removeprefix("Value error, ")[:1].lower() + message.removeprefix("Value error, ")[1:]


def _description(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """What a key of the grammar is for."""
    for one in _models_at(model, loc[:-1]):
        field = one.model_fields.get(str(loc[-1]))
        if field is not None and field.description:
            return field.description[:1].lower() + field.description[1:]
    return ""


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    """The keys known at a place of the grammar."""
    return {name for one in _models_at(model, loc) for name in one.model_fields}


def _models_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[type[BaseModel]]:
    current: set[type[BaseModel]] = {model}
    for part in loc:
        following: set[type[BaseModel]] = set()
        for one in current:
            field = one.model_fields.get(str(part))
            following |= _models_in(field.annotation) if field is not None else {one}
        current = following
    return current


def _models_in(annotation: Any) -> set[type[BaseModel]]:  # noqa: ANN401  # any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for argument in get_args(annotation) for model in _models_in(argument)}
