"""Comparisons -> how many different prompts they have, and which come most often. Texts are kept of a few prompts alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from basereward.records import Comparison

# Prompts of which the text is kept while reading; the page shows the first of them.
_CANDIDATES = 40
_PREVIEW_CHARS = 300
_PLACES = 3


@dataclass
class Repeated:
    """A prompt that came again."""

    text: str
    count: int
    places: list[str]
    """Of the repetitions, at most three: where the first comparison stands is no longer known."""


@dataclass
class Prompts:
    """Of one source; a prompt is the same when its turns and pictures are (`Comparison.group`)."""

    counts: dict[int, int] = field(default_factory=dict)
    """64 bits of the group -> comparisons."""
    candidates: dict[int, Repeated] = field(default_factory=dict)

    def add(self, item: Comparison) -> None:
        """Counts the comparison's prompt.

        The prompts that come most often are among the candidates at the end: when such a prompt comes for the last time, its
        count is above that of the rarest candidate, whose place it takes.
        """
        key = int(item.group[:16], 16)
        count = self.counts[key] = self.counts.get(key, 0) + 1
        if count == 1:
            return
        if key in self.candidates:
            known = self.candidates[key]
            known.count = count
            if len(known.places) < _PLACES:
                known.places.append(item.where)
        elif self._make_room(count):
            self.candidates[key] = Repeated(text_of(item)[:_PREVIEW_CHARS], count, [item.where])

    @property
    def num_repeating(self) -> int:
        """Comparisons whose prompt stands in another one too."""
        return sum(count for count in self.counts.values() if count > 1)

    def most_common(self, number: int) -> list[Repeated]:
        """The prompts with the most comparisons, the first to come first where they have as many."""
        return sorted(self.candidates.values(), key=lambda prompt: -prompt.count)[:number]

    def num_shared(self, other: Prompts) -> int:
        """Different prompts that stand in both sources."""
        return len(self.counts.keys() & other.counts.keys())

    def _make_room(self, count: int) -> bool:
        if len(self.candidates) < _CANDIDATES:
            return True
        rarest = min(self.candidates, key=lambda key: self.candidates[key].count)
        if self.candidates[rarest].count >= count:
            return False
        del self.candidates[rarest]
        return True


def text_of(item: Comparison) -> str:
    """The last turn as one text, a marker for each picture: what tells prompts apart at a glance."""
    return "".join("<image>" if part["type"] == "image" else part["text"] for part in item.messages[-1]["content"])
