"""Whatever a plugin author or a user of the library meets is explained where it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from workspace import ROOT, members

Explained = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    return [path for member in members() for path in sorted((member.folder / member.package).rglob("*.py"))]


def public_without_docstring(tree: ast.Module) -> Iterator[str]:
    """The module, its public classes and functions, and their public methods, as far as they lack one.

    Overloads, validators and members of private classes are not public; the name of a shipped test says it all.
    """
    if tree.body and ast.get_docstring(tree) is None:
        yield "the module"
    for node in tree.body:
        if isinstance(node, Explained) and is_public(node):
            yield from missing(node, node.name)
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, Explained) and is_public(method):
                        yield from missing(method, f"{node.name}.{method.name}")


def is_public(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if isinstance(node, ast.Module):
        return True
    decorators = {ast.unparse(one).split("(")[0] for one in node.decorator_list}
    is_exempt = node.name.startswith(("_", "test_")) or decorators & {"overload", "field_validator", "model_validator"}
    return not is_exempt


def missing(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Module, name: str) -> Iterator[str]:
    if ast.get_docstring(node) is None:
        yield name


def test_everything_public_is_explained() -> None:
    bare = {
        path.relative_to(ROOT).as_posix(): names
        for path in modules()
        if (names := list(public_without_docstring(ast.parse(path.read_text(encoding="utf-8")))))
    }

    assert not bare, "\n".join(f"{path}: {', '.join(names)}" for path, names in bare.items())


def test_a_public_function_without_a_docstring_would_be_seen() -> None:
    source = '"""M."""\nclass A:\n    """A."""\n    def b(self): ...\n    def _c(self): ...\ndef d(): ...\n'

    assert list(public_without_docstring(ast.parse(source))) == ["A.b", "d"]
