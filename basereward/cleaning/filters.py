"""What can be said of a comparison by itself: whether a response is empty, too long, in another language, or too easy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from basereward.cleaning.language import language
from basereward.cleaning.settings import CleanSettings
from basereward.fingerprints.text import prompt_text
from basereward.records import Comparison
from basereward.reward_files import RewardFiles

Filter = Callable[[Comparison], str | None]
"""A comparison -> why it is left out, in words that are the same for all such comparisons; None when it stays."""


def filters(settings: CleanSettings, sources: tuple[str, ...]) -> list[Filter]:
    """The filters of the settings, in the order in which they are asked.

    Args:
        sources: names of the data sources, for the files of rewards.
    """
    limits = [limits_filter(name, *getattr(settings, name)) for name in LENGTH_OF if getattr(settings, name) is not None]
    wanted = [language_filter(frozenset(settings.languages))] if settings.languages is not None else []
    margin = [margin_filter(settings.margin, sources)] if settings.margin is not None else []
    return [bad_responses, *limits, *wanted, *margin]


def bad_responses(comparison: Comparison) -> str | None:
    """Empty responses, and pairs of one text: what a recipe let pass."""
    texts = [response.strip() for response in comparison.responses]
    if not all(texts):
        return "empty response"
    return "identical responses" if any(texts[pair.better] == texts[pair.worse] for pair in comparison.pairs) else None


def _prompt(comparison: Comparison) -> list[str]:
    return [prompt_text(comparison.messages)]


def _responses(comparison: Comparison) -> list[str]:
    return list(comparison.responses)


def _words(text: str) -> int:
    return len(text.split())


# Setting -> (the texts it is about, how they are measured, in words).
LENGTH_OF = {
    "prompt_chars": (_prompt, len, "characters of the prompt"),
    "prompt_words": (_prompt, _words, "words of the prompt"),
    "response_chars": (_responses, len, "characters of a response"),
    "response_words": (_responses, _words, "words of a response"),
}


def limits_filter(name: str, least: float | None, most: float | None) -> Filter:
    """Leaves out what is shorter or longer."""
    texts_of, measure, words = LENGTH_OF[name]

    def reason(comparison: Comparison) -> str | None:
        sizes = [measure(text) for text in texts_of(comparison)]
        if least is not None and min(sizes) < least:
            return f"too few {words}"
        return f"too many {words}" if most is not None and max(sizes) > most else None

    return reason


def language_filter(wanted: frozenset[str]) -> Filter:
    """Leaves out prompts and responses that are recognised as another language; what is not recognised stays."""

    def reason(comparison: Comparison) -> str | None:
        for text in (*_prompt(comparison), "\n".join(comparison.responses)):
            found = language(text)
            if found is not None and found not in wanted:
                return f"language: {found}"
        return None

    return reason


def margin_filter(node: Mapping, sources: tuple[str, ...]) -> Filter:
    """Leaves out what a reward model finds too easy or too hard, or did not score.

    Raises:
        ConfigError: a file for a source that is not there.
        DataError: a file that is no output of ``basereward score``.
    """
    files = RewardFiles(node["scores"], sources, "data.clean.margin.scores")
    least, most = node.get("min"), node.get("max")

    def reason(comparison: Comparison) -> str | None:
        if not files.covers(comparison.source):
            return None
        found = files.of(comparison)
        if isinstance(found, str):
            return found
        margin = margin_of(comparison, found)
        if least is not None and margin < least:
            return "margin too small"
        return "margin too large" if most is not None and margin > most else None

    return reason


def margin_of(comparison: Comparison, rewards: Sequence[float]) -> float:
    """By how much the better response of a pair leads, mean over the pairs; 0 where all are tied."""
    leads = [rewards[pair.better] - rewards[pair.worse] for pair in comparison.pairs]
    return sum(leads) / len(leads) if leads else 0.0
