"""Classes -> the source of one file that imports only torch, transformers and the standard library.

Everything that a class needs of its own package (constants, helpers, parent classes, errors) is copied with it, so a head may be
written like any other module.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from dataclasses import dataclass, field
from types import ModuleType

from basereward.errors import ConfigError

ALLOWED = frozenset(("torch", "transformers")) | sys.stdlib_module_names
_OURS = "basereward"


@dataclass
class _Module:
    """A module's top level: name -> the statement that defines it, with its source, and the names it imports."""

    name: str
    definitions: dict[str, int] = field(default_factory=dict)
    imports: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)
    """Name -> (module, name in it or "", alias)."""
    statements: list[ast.stmt] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


class _Gatherer:
    def __init__(self, packages: set[str]):
        self.packages = packages
        self.modules: dict[str, _Module] = {}
        self.import_lines: dict[str, str] = {}
        """Name -> the line that imports it."""
        self.parts: list[str] = []
        self.done: dict[str, tuple[str, int]] = {}
        """Name in the file -> the module and statement it comes from."""

    def add(self, module_name: str, name: str) -> None:
        """Copies a definition after everything that it needs."""
        module = self._read(module_name)
        if name in module.imports:
            self._add_import(module, name)
            return
        if name not in module.definitions:
            return  # a builtin, or a local variable
        index = module.definitions[name]
        known = self.done.get(name)
        if known == (module_name, index):
            return
        if known is not None:
            raise ConfigError(
                f"export: {known[0]} and {module_name} both define {name!r}; an exported model is one file, rename one of them"
            )
        for other in [n for n, i in module.definitions.items() if i == index]:
            self.done[other] = (module_name, index)
        for needed in _names(module.statements[index]):
            if needed != name:
                self.add(module_name, needed)
        self.parts.append(module.texts[index])

    def _add_import(self, module: _Module, name: str) -> None:
        source, attribute, alias = module.imports[name]
        package = source.partition(".")[0]
        if package in self.packages:
            if not attribute or alias:
                line = f"from {source} import {attribute} as {alias}" if attribute else f"import {source}"
                raise ConfigError(
                    f"export: {module.name} says {line!r}; what it needs of its own package is copied by name, so write "
                    f"`from {source} import <name>` without an alias"
                )
            self.add(source, attribute)
            return
        if package not in ALLOWED:
            raise ConfigError(
                f"export: {module.name} needs {package!r}; an exported model may import only torch, transformers and the "
                "standard library, so that it loads wherever transformers does. Write that part with torch"
            )
        as_alias = f" as {alias}" if alias else ""
        line = f"from {source} import {attribute}{as_alias}" if attribute else f"import {source}{as_alias}"
        known = self.import_lines.setdefault(name, line)
        if known != line and attribute:
            raise ConfigError(f"export: {known!r} and {line!r} give two things one name; an exported model is one file")

    def _read(self, name: str) -> _Module:
        if name not in self.modules:
            self.modules[name] = _read_module(importlib.import_module(name))
        return self.modules[name]


def gather(classes: list[type]) -> tuple[str, str]:
    """The source of classes and of all they need.

    Returns:
        (import lines, definitions), each ready to be written into a file.

    Raises:
        ConfigError: a class is not written in a file, needs a library that an exported model may not need, or two names collide.
    """
    gatherer = _Gatherer({_OURS} | {cls.__module__.partition(".")[0] for cls in classes})
    for cls in classes:
        gatherer.add(cls.__module__, cls.__name__)
        if cls.__name__ not in gatherer.done:
            raise ConfigError(f"export: {cls.__qualname__} is not defined at the top level of {cls.__module__}; move it there")
    lines = sorted(set(gatherer.import_lines.values()), key=lambda line: (line.startswith("from"), line))
    return "\n".join(lines), "\n\n\n".join(gatherer.parts)


def _read_module(module: ModuleType) -> _Module:
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise ConfigError(f"export: the source of {module.__name__} cannot be read; put the head into a file") from error
    lines = source.splitlines()
    read = _Module(module.__name__)
    end = 0
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _note_import(statement, module, read)
        else:
            for name in _bound(statement):
                read.definitions[name] = len(read.statements)
            read.statements.append(statement)
            read.texts.append("\n".join(lines[end : statement.end_lineno]).strip("\n"))
        end = statement.end_lineno or end
    return read


def _note_import(statement: ast.Import | ast.ImportFrom, module: ModuleType, read: _Module) -> None:
    for alias in statement.names:
        if isinstance(statement, ast.Import):
            read.imports[alias.asname or alias.name.partition(".")[0]] = (alias.name, "", alias.asname)
        else:
            source = "." * statement.level + (statement.module or "")
            if statement.level:
                source = importlib.util.resolve_name(source, module.__package__)
            read.imports[alias.asname or alias.name] = (source, alias.name, alias.asname)


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a top-level statement defines."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [node.id for target in targets if target is not None for node in ast.walk(target) if isinstance(node, ast.Name)]


def _names(statement: ast.stmt) -> list[str]:
    """All names a statement mentions, in order; annotations too, which does no harm."""
    return list(dict.fromkeys(node.id for node in ast.walk(statement) if isinstance(node, ast.Name)))
