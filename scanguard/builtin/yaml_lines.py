"""YAML from outside: bounded, without aliases, and with the line of every value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import yaml

MAX_DEPTH: Final = 16


class YamlError(Exception):
    """The text is no YAML that is accepted; ``line`` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


@dataclass(frozen=True, slots=True)
class LocatedYaml:
    """A value, and where each part of it was written."""

    value: Any
    root: yaml.Node | None

    def line(self, place: Sequence[str | int]) -> int:
        """The line of a part, or of the nearest part around it that exists."""
        node = self.root
        line = 1
        for step in (None, *place):
            node = node if step is None else _child(node, step)
            if node is None:
                break
            line = node.start_mark.line + 1
        return line


def parse_yaml(text: str, *, is_json: bool = False) -> LocatedYaml:
    """Parse; raises YamlError.

    Args:
        text: One document. Aliases are refused: a few of them make a value of any size.
        is_json: True for JSON, whose indentation may be tabs.
    """
    import yaml  # noqa: PLC0415  # only those who describe deployments in a file need it

    if is_json:
        text = text.replace("\t", " ")
    loader_type: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_excess(yaml.parse(text, Loader=loader_type))
        loader = loader_type(text)
        try:
            root = loader.get_single_node()
            value = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise YamlError(exc.problem or "it is not YAML", mark.line + 1 if mark else 1) from exc
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as exc:  # ValueError: a date such as 2024-13-45
        raise YamlError(f"it is not YAML: {str(exc).splitlines()[0] if str(exc) else type(exc).__name__}", 1) from exc
    return LocatedYaml(value, root)


def _refuse_excess(events: Any) -> None:  # noqa: ANN401  # PyYAML's events are untyped
    import yaml  # noqa: PLC0415  # as above

    depth = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise YamlError("aliases (*name) are not accepted here", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise YamlError(f"it is nested deeper than {MAX_DEPTH} levels", line)


def _child(node: Any, step: str | int) -> yaml.Node | None:  # noqa: ANN401  # PyYAML's nodes say too little
    kind = getattr(node, "id", "")
    if isinstance(step, int) and kind == "sequence":
        return next(iter(node.value[step : step + 1]), None)
    if kind == "mapping":
        return next((value for key, value in node.value if key.value == str(step)), None)
    return None
