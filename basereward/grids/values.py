"""Values of factors as text: on the command line of ``train``, in tables, and in names of folders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from basereward.compose import in_quotes
from basereward.errors import ConfigError

# Of a folder's name: file systems take 255 bytes, and what lies below has names too.
LONGEST_NAME, LONGEST_BYTES = 120, 200


def override_key(override: str) -> str:
    """The key of an override, or of a factor, without the marks that add or remove it.

    >>> override_key("+data.sources.x.cap=20"), override_key("~data.clean")
    ('data.sources.x.cap', 'data.clean')
    """
    return str(override).lstrip("+~").partition("=")[0]


def label(value: Any) -> str:
    """A factor's value as tables show it; a bundle's is its name.

    >>> [label(value) for value in (1e-05, True, None, ["a", 1], {"name": "frozen", "set": ["parts=frozen_vision"]})]
    ['1e-5', 'true', 'null', '[a,1]', 'frozen']
    """
    if isinstance(value, Mapping) and "set" in value:
        return str(value.get("name"))
    return _text(value, quote=lambda text: text)


def overrides_of(key: str, value: Any) -> list[str]:
    """What a factor's value is on the command line of ``basereward train``.

    Raises:
        ConfigError: a bundle that is not ``{name: ..., set: [...]}``.
    """
    if not (isinstance(value, Mapping) and {"name", "set"} & set(value)):
        return [f"{key}={value if isinstance(value, str) else _text(value, quote=in_quotes)}"]
    if set(value) != {"name", "set"} or not isinstance(value["set"], list):
        raise ConfigError(
            f"ablation.factors.{key}: expected a bundle {{name: ..., set: [key=value, ...]}}; found {dict(value)}; correct it"
        )
    return [str(override) for override in value["set"]]


def folder_name(text: str) -> str:
    """A name that file systems and shells take; letters of any script stay, what is none becomes a dash.

    >>> folder_name("data.path=my pairs/ü.jsonl,run.seed=0")
    'data.path=my-pairs-ü.jsonl,run.seed=0'
    """
    text = unicodedata.normalize("NFC", text)  # one spelling of a letter, so that the same name is found again
    kept = "".join(letter if unicodedata.category(letter)[0] in "LMN" or letter in "._=,+-" else "-" for letter in text)
    return kept.lstrip(".") or "cell"


def cut(name: str) -> str:
    """The beginning of a name that file systems take."""
    return name[:LONGEST_NAME].encode("utf-8")[:LONGEST_BYTES].decode("utf-8", "ignore")


def listed(values: Any) -> list[Any]:
    """A list as it is; one value as a list."""
    return values if isinstance(values, list) else [values]


def _text(value: Any, quote: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return re.sub(r"e([+-])0*(\d)", lambda found: f"e{found[1].replace('+', '')}{found[2]}", repr(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(_text(part, quote) for part in value)}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}:{_text(part, quote)}' for name, part in value.items())}}}"
    return quote(str(value)) if isinstance(value, str) else str(value)
