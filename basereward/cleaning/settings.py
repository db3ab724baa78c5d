"""What `data.clean` says, with every value checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from basereward.cleaning.language import LANGUAGES
from basereward.errors import ConfigError, near_matches

CONFLICTS = ("drop", "keep_first")
PICTURES = ("reference", "content", "looks")
LENGTHS = ("prompt_chars", "prompt_words", "response_chars", "response_words")
MARGIN_KEYS = ("scores", "min", "max")


@dataclass
class CleanSettings:
    """What is left out. Empty and identical responses always are."""

    duplicates: bool = True
    """The same prompt, pictures, responses and preference again; the first one stays."""
    near_duplicates: float | None = None
    """Jaccard similarity, 0 < x <= 1, of prompts and of responses from which on the later one is left out; 0.8 is usual."""
    conflicts: str | None = "drop"
    """The same prompt, pictures and two responses, preferred the other way round. drop: all of them go. keep_first: those go that
    contradict the first. null: all stay."""
    pictures: str = "reference"
    """Which pictures are the same. reference: those of one path, or of the same bytes. content: those of the same bytes, also under
    two paths. looks: those of nearly the same perceptual hash; every picture is decoded once."""
    languages: list[str] | None = None
    """Codes such as [en, zh]: a comparison whose prompt or responses are recognised as another language goes."""
    prompt_chars: list | None = None
    """[least, most], null for no limit: characters of the prompt, all its turns."""
    prompt_words: list | None = None
    """[least, most]: words between white space."""
    response_chars: list | None = None
    """[least, most], for every response."""
    response_words: list | None = None
    """[least, most], for every response."""
    margin: dict[str, Any] | None = None
    """scores: output of `basereward score`, or {source: output}. min, max: a comparison stays when the rewards' difference, better
    less worse, mean over its pairs, is between them."""


def read_settings(node: Mapping | None) -> CleanSettings | None:
    """The settings of `data.clean`; None when it is null.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used; with the dotted key.
    """
    if node is None:
        return None
    known = [item.name for item in fields(CleanSettings)]
    for key in node:
        if key not in known:
            raise ConfigError(f"data.clean.{key}: no such key; {near_matches(str(key), known)}")
    settings = CleanSettings(**node)
    _check_choice("conflicts", settings.conflicts, CONFLICTS, may_be_null=True)
    _check_choice("pictures", settings.pictures, PICTURES)
    _check_switch(settings.duplicates)
    if settings.near_duplicates is not None and not _is_number(settings.near_duplicates, above=0, most=1):
        _refuse("near_duplicates", "a similarity, 0 < x <= 1, or null", settings.near_duplicates, "0.8 is usual")
    _check_languages(settings.languages)
    for name in LENGTHS:
        _check_limits(name, getattr(settings, name))
    _check_margin(settings.margin)
    return settings


def _refuse(key: str, expected: str, found: object, advice: str) -> None:
    raise ConfigError(f"data.clean.{key}: expected {expected}; found {found!r}; {advice}")


def _check_switch(value: object) -> None:
    if not isinstance(value, bool):
        _refuse("duplicates", "true or false", value, "correct it")


def _check_choice(key: str, value: object, choices: Sequence[str], *, may_be_null: bool = False) -> None:
    if value not in choices and not (value is None and may_be_null):
        _refuse(key, " or ".join(choices) + (" or null" if may_be_null else ""), value, near_matches(str(value), choices))


def _check_languages(codes: object) -> None:
    if codes is None:
        return
    if not isinstance(codes, list | tuple) or not codes:
        _refuse("languages", "a list of codes such as [en, zh], or null", codes, "write [en]")
    for code in codes:
        if code not in LANGUAGES:
            _refuse("languages", "codes of languages that are recognised", code, near_matches(str(code), LANGUAGES))


def _check_limits(key: str, limits: object) -> None:
    if limits is None:
        return
    is_pair = isinstance(limits, list | tuple) and len(limits) == 2
    if not is_pair or not all(limit is None or _is_number(limit, least=0) for limit in limits):
        _refuse(key, "[least, most], each a number from 0 or null", limits, "write [1, 8000]")
    if None not in limits and limits[0] > limits[1]:
        _refuse(key, "[least, most] with least below most", limits, "swap them")


def _check_margin(margin: object) -> None:
    if margin is None:
        return
    if not isinstance(margin, Mapping) or margin.get("scores") is None:
        _refuse("margin", "{scores: <output of basereward score>, min: ..., max: ...}", margin, "name the file")
    for key in margin:
        if key not in MARGIN_KEYS:
            raise ConfigError(f"data.clean.margin.{key}: no such key; {near_matches(str(key), MARGIN_KEYS)}")
    limits = [margin.get("min"), margin.get("max")]
    if limits == [None, None] or not all(limit is None or _is_number(limit) for limit in limits):
        _refuse("margin", "min or max, each a number", limits, "{max: 2.0} leaves out what the model is sure of")
    if None not in limits and limits[0] > limits[1]:
        _refuse("margin", "min below max", limits, "swap them")


def _is_number(value: object, *, above: float | None = None, least: float | None = None, most: float | None = None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return False
    return (above is None or value > above) and (least is None or value >= least) and (most is None or value <= most)
