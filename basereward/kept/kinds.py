"""What can be worked out of comparisons, and on what the result depends beside them: the code, and the libraries it stands on."""

from __future__ import annotations

import hashlib
import inspect
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from basereward.kept.tables import Table
from basereward.records import Comparison

DIGITS = 12
UNICODE = f"Unicode {unicodedata.unidata_version}"
"""The letters that Python knows, their small forms and normal forms."""


@dataclass(frozen=True)
class Kind:
    """One kind of facts about comparisons, each of which is looked at by itself."""

    name: str
    of: Callable[[Sequence[Comparison]], Table]
    """Its file is part of the code that the facts depend on."""
    modules: tuple[ModuleType, ...] = ()
    """Those that it uses: when a byte of one changes, kept facts are not found any more."""
    libraries: tuple[str, ...] = (UNICODE,)

    @property
    def folder(self) -> str:
        """Name of the folder for such facts."""
        return f"facts-{self.name}-{code_of((inspect.getmodule(self.of), *self.modules), self.libraries)}"


def code_of(modules: Sequence[ModuleType | None], libraries: Sequence[str]) -> str:
    """12 hexadecimal digits that change with a module's code or a library's version."""
    digest = hashlib.sha256("\n".join(libraries).encode())
    for module in modules:
        if module is not None and module.__file__:
            digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()[:DIGITS]
