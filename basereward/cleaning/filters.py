"""What can be said of a comparison by itself: whether a response is empty, too long, in another language, or too easy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from basereward.cleaning.near import SPEECH, SPOKEN
from basereward.cleaning.settings import CleanSettings
from basereward.cleaning.statements import BAD, LENGTHS, STATEMENTS
from basereward.kept.tables import Table
from basereward.records import Comparison
from basereward.reward_files import RewardFiles

WORDS = {
    "prompt_chars": "characters of the prompt",
    "prompt_words": "words of the prompt",
    "response_chars": "characters of a response",
    "response_words": "words of a response",
}


def own_reasons(
    comparisons: Sequence[Comparison], facts: Mapping[str, Table], settings: CleanSettings, sources: tuple[str, ...]
) -> np.ndarray:
    """(n,): why each comparison is left out for its own sake, in words that are the same for all such; None where it stays.

    Args:
        facts: by the names of their kinds. sources: names of the data sources, for the files of rewards.
    """
    statements = facts[STATEMENTS.name].rows
    reasons = np.array(BAD, dtype=object)[statements["bad"]]
    for name in LENGTHS:
        if (limits := getattr(settings, name)) is not None:
            _leave_out(reasons, _out_of_limits(statements[name], *limits, WORDS[name]))
    if settings.languages is not None:
        _leave_out(reasons, _other_languages(facts[SPEECH.name], settings.languages))
    if settings.margin is not None:
        _ask_margins(reasons, comparisons, settings.margin, sources)
    return reasons


def _leave_out(reasons: np.ndarray, more: np.ndarray) -> None:
    """The first reason counts."""
    free = np.equal(reasons, None)
    reasons[free] = more[free]


def _out_of_limits(sizes: np.ndarray, least: float | None, most: float | None, words: str) -> np.ndarray:
    """(n, 2) least and most -> (n,) reasons."""
    result = np.full(len(sizes), None, dtype=object)
    if most is not None:
        result[sizes[:, 1] > most] = f"too many {words}"
    if least is not None:
        result[sizes[:, 0] < least] = f"too few {words}"
    return result


def _other_languages(facts: Table, wanted: Sequence[str]) -> np.ndarray:
    """Prompts and responses that are recognised as another language; what is not recognised stays."""
    reasons = np.array([None if code is None or code in wanted else f"language: {code}" for code in SPOKEN], dtype=object)
    result = reasons[facts.rows["prompt"]]
    _leave_out(result, reasons[facts.rows["responses"]])
    return result


def _ask_margins(reasons: np.ndarray, comparisons: Sequence[Comparison], node: Mapping, sources: tuple[str, ...]) -> None:
    """What a reward model finds too easy or too hard, or did not score.

    Raises:
        ConfigError: a file for a source that is not there.
        DataError: a file that is no output of ``basereward score``.
    """
    files = RewardFiles(node["scores"], sources, "data.clean.margin.scores")
    for row in np.flatnonzero(np.equal(reasons, None)).tolist():
        reasons[row] = _margin_reason(comparisons[row], files, node.get("min"), node.get("max"))


def _margin_reason(comparison: Comparison, files: RewardFiles, least: float | None, most: float | None) -> str | None:
    if not files.covers(comparison.source):
        return None
    found = files.of(comparison)
    if isinstance(found, str):
        return found
    margin = margin_of(comparison, found)
    if least is not None and margin < least:
        return "margin too small"
    return "margin too large" if most is not None and margin > most else None


def margin_of(comparison: Comparison, rewards: Sequence[float]) -> float:
    """By how much the better response of a pair leads, mean over the pairs; 0 where all are tied."""
    leads = [rewards[pair.better] - rewards[pair.worse] for pair in comparison.pairs]
    return sum(leads) / len(leads) if leads else 0.0
