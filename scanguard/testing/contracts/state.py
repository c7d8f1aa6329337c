"""Pictures of a plugin's mutable state, to see whether using one instance changes another."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

_MAX_DEPTH: Final = 5
_CONTAINERS: Final = (dict, list, set, bytearray, deque)


def module_state(package: str) -> dict[str, str]:
    """What the mutable containers in a package's loaded modules, and in their classes, hold."""
    state: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        if module is None or not (name == package or name.startswith(f"{package}.")):
            continue
        for key, value in list(vars(module).items()):
            if key.startswith("__"):
                continue
            if isinstance(value, _CONTAINERS):
                state[f"{name}.{key}"] = _picture(value, frozenset(), 0)
            elif isinstance(value, type) and value.__module__ == name:
                state.update(_class_state(value))
    return state


def _class_state(cls: type) -> dict[str, str]:
    return {
        f"{cls.__module__}.{cls.__qualname__}.{key}": _picture(value, frozenset(), 0)
        for key, value in vars(cls).items()
        if isinstance(value, _CONTAINERS) and not key.startswith("__") and not key.startswith("model_")
    }


def instance_state(instance: object, lent: Iterable[object]) -> str:
    """What an object and the objects it holds hold; what the engine ``lent`` to it is not looked into."""
    return _picture(instance, frozenset(map(id, lent)), 0)


def _picture(value: Any, lent: frozenset[int], depth: int) -> str:  # noqa: ANN401  # looks at anything
    if id(value) in lent or depth > _MAX_DEPTH:
        return type(value).__name__
    if isinstance(value, Mapping):
        inner = sorted(f"{key!r}: {_picture(each, lent, depth + 1)}" for key, each in list(value.items()))
        return f"{type(value).__name__}{{{', '.join(inner)}}}"
    if isinstance(value, list | tuple | deque):
        return f"{type(value).__name__}[{', '.join(_picture(each, lent, depth + 1) for each in value)}]"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}{sorted(_picture(each, lent, depth + 1) for each in value)}"
    if isinstance(value, str | bytes | bytearray | int | float | bool | None):
        return repr(value)
    return f"{type(value).__name__}({_picture(_attributes(value), lent, depth + 1)})"


def _attributes(value: object) -> dict[str, object]:
    if isinstance(value, type) or not type(value).__module__ or callable(value):
        return {}
    slots = [name for cls in type(value).__mro__ for name in _names(getattr(cls, "__slots__", ()))]
    held = {name: getattr(value, name) for name in slots if name != "__dict__" and hasattr(value, name)}
    return {**held, **getattr(value, "__dict__", {})}


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots
