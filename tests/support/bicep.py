"""Bicep files read as a tree: what they declare, as plain values. No compiler runs here; this finds part of its errors.

The grammar is that of the package tree-sitter-bicep; it knows no ``.bicepparam``, whose
``param x = …`` is read as ``var x = …``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tree_sitter import Language, Node, Parser
from tree_sitter_bicep import language

INFRA: Final = Path(__file__).parents[2] / "infra"
_PARSER: Final = Parser(Language(language()))


class Expression(str):
    """Bicep that is more than a value: a name, a call, a condition; its own text."""

    __slots__ = ()


class Union(tuple[Any, ...]):
    """What ``union(…)`` is given, one by one."""

    __slots__ = ()


@dataclass(frozen=True)
class Declared:
    """A resource or module: its symbol, type or path, and body; ``looped`` and ``conditional`` as written."""

    symbol: str
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    existing: bool = False

    @property
    def type(self) -> str:
        """The type without its API version."""
        return self.kind.partition("@")[0]


class Bicep:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".bicepparam":
            text = re.sub(r"^param (\w+) =", r"var \1 =", text, flags=re.MULTILINE)
            text = re.sub(r"^using .*$", "", text, flags=re.MULTILINE)
        self.text = text
        self.root = _PARSER.parse(text.encode()).root_node

    @property
    def errors(self) -> list[str]:
        """Where the syntax is broken."""
        broken = (node for node in _nodes(self.root) if node.is_error or node.is_missing)
        return [f"{self.path.name}:{node.start_point[0] + 1}: {_text(node)[:60]!r}" for node in broken]

    @cached_property
    def parameters(self) -> dict[str, bool]:
        """Parameters, and whether each must be given."""
        return {
            _text(node.named_children[0]): not any(child.type == "=" for child in node.children)
            for node in self._declarations("parameter_declaration")
        }

    @cached_property
    def variables(self) -> dict[str, Any]:
        """Variables."""
        return {
            _text(node.named_children[0]): _value(node.named_children[-1])
            for node in self._declarations("variable_declaration")
        }

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Defaults of parameters that have one."""
        return {
            _text(node.named_children[0]): _value(node.named_children[-1])
            for node in self._declarations("parameter_declaration")
            if any(child.type == "=" for child in node.children)
        }

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """Outputs."""
        return {
            _text(node.named_children[0]): _value(node.named_children[-1])
            for node in self._declarations("output_declaration")
        }

    @cached_property
    def resources(self) -> list[Declared]:
        """Resources, nested ones too."""
        return [_declared(node) for node in _nodes(self.root) if node.type == "resource_declaration"]

    @cached_property
    def modules(self) -> list[Declared]:
        """Modules."""
        return [_declared(node) for node in self._declarations("module_declaration")]

    def of_type(self, type_: str) -> list[Declared]:
        """Resources of a type that are made here."""
        return [found for found in self.resources if found.type == type_ and not found.existing]

    def strings(self) -> Iterator[str]:
        """Every text outside of comments and descriptions."""
        for node in _nodes(self.root, skip=("decorators",)):
            if node.type == "string":
                yield _text(node)[1:-1]

    @cached_property
    def calls(self) -> set[str]:
        """Functions that are called, as written."""
        return {_text(node.named_children[0]) for node in _nodes(self.root) if node.type == "call_expression"}

    @cached_property
    def undeclared(self) -> set[str]:
        """Names that stand for a value and that nothing here declares."""
        declared = {*self.parameters, *self.variables, *(found.symbol for found in [*self.resources, *self.modules])}
        declared |= {_text(name) for node in _nodes(self.root) for name in _bound(node)}
        return self.used - declared

    @cached_property
    def used(self) -> set[str]:
        """Names that stand for a value somewhere."""
        return {_text(node) for node in _nodes(self.root, skip=("decorators",)) if _stands_for_a_value(node)}

    @cached_property
    def members(self) -> set[tuple[str, str]]:
        """``module.outputs.name`` as (module, name), wherever it is read."""
        found = re.findall(r"\b(\w+)!?\.outputs\.(\w+)", self.text)
        return {(module, name) for module, name in found}

    def _declarations(self, type_: str) -> list[Node]:
        return [node for node in self.root.named_children if node.type == type_]


def all_files() -> list[Path]:
    """Every Bicep file of the project."""
    return sorted(path for path in INFRA.rglob("*") if path.suffix in {".bicep", ".bicepparam"})


def _nodes(node: Node, skip: tuple[str, ...] = ()) -> Iterator[Node]:
    yield node
    for child in node.children:
        if child.type not in skip:
            yield from _nodes(child, skip)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _declared(node: Node) -> Declared:
    symbol, kind = node.named_children[:2]
    found = [child for child in _nodes(node) if child.type == "object"]
    existing = any(child.type == "existing" for child in node.children) or " existing " in _text(node).split("{")[0]
    return Declared(_text(symbol), _text(kind)[1:-1], _value(found[0]) if found else {}, existing)


def _value(node: Node) -> Any:
    match node.type:
        case "object":
            pairs = [child.named_children for child in node.named_children if child.type == "object_property"]
            return {_text(pair[0]).strip("'"): _value(pair[-1]) for pair in pairs}
        case "array":
            return [_value(child) for child in node.named_children if child.type != "comment"]
        case "string":
            plain = all(child.type in {"'", "string_content"} for child in node.children)
            return _text(node)[1:-1] if plain else Expression(_text(node))
        case "call_expression" if _text(node.named_children[0]) == "union":
            return Union(_value(child) for child in node.named_children[1].named_children)
        case _:
            return _plain(node)


def _plain(node: Node) -> bool | int | Expression:
    if node.type == "boolean":
        return _text(node) == "true"
    return int(_text(node)) if node.type == "number" else Expression(_text(node))


def _bound(node: Node) -> list[Node]:
    """Names that a loop binds: ``for item in …``, ``for (item, index) in …``."""
    if node.type == "for_statement":
        return node.named_children[:1]
    return node.named_children if node.type == "for_loop_parameters" else []


def _stands_for_a_value(node: Node) -> bool:
    parent = node.parent
    if node.type != "identifier" or parent is None:
        return False
    following = node.next_sibling
    if following is not None and following.start_byte == node.end_byte and _text(following).startswith("("):
        return False  # a call: in an array the grammar takes its name for an element
    if parent.type == "object_property":
        return parent.named_children[0] != node
    if parent.type == "call_expression":
        return parent.named_children[0] != node
    return (
        parent.type
        not in {
            "parameter_declaration",
            "variable_declaration",
            "output_declaration",
            "resource_declaration",
            "module_declaration",
        }
        or parent.named_children[0] != node
    )
