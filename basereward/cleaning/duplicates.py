"""Comparisons that say again, or deny, what another one says: found by keys of 64 bits, for millions of rows at a time."""

from __future__ import annotations

import json
from array import array

import numpy as np

from basereward.cleaning.same_pictures import SamePictures
from basereward.cleaning.settings import CleanSettings
from basereward.fingerprints.buckets import first_of_group
from basereward.fingerprints.minhash import NUM_HASHES, mixed, near_pairs, signature, similarity
from basereward.fingerprints.text import digest, numbers_key, prompt_text, spaced, text_key
from basereward.records import Comparison

DUPLICATE, NEAR, CONFLICT = "duplicate", "near duplicate", "conflicting labels"
_BLOCK = 1 << 16


class Seen:
    """What is kept of each comparison to tell which are the same: about 100 bytes, and 512 more for near duplicates.

    Args:
        settings: of `data.clean`.
    """

    def __init__(self, settings: CleanSettings) -> None:
        self.settings = settings
        self.pictures = SamePictures(settings.pictures)
        self._whole = array("Q")
        self._claims = array("Q")
        self._directions = array("b")
        self._owners = array("q")
        self._prompts, self._responses = array("H"), array("H")
        self._numbers = array("Q")

    def look(self, comparisons: list[Comparison]) -> None:
        """Takes further comparisons, which are numbered in the order in which they come."""
        self.pictures.look(comparisons)
        for item in comparisons:
            self._whole.append(digest(_statement(item)))
            if self.settings.conflicts is not None:
                self._claim(item)
            if self.settings.near_duplicates is not None:
                self._prompts.frombytes(signature([spaced(prompt_text(item.messages))]).tobytes())
                self._responses.frombytes(signature([spaced(text) for text in item.responses]).tobytes())
                self._numbers.append(numbers_key([prompt_text(item.messages), *sorted(item.responses)]))

    def reasons(self) -> list[str | None]:
        """For each comparison, why it is left out."""
        num_items = len(self._whole)
        pictures = self.pictures.keys()
        result = np.full(num_items, "", dtype=object)
        if self.settings.conflicts is not None:
            result[self._conflicting(pictures)] = CONFLICT
        if self.settings.duplicates:
            left = np.flatnonzero(result == "")
            result[left[_is_later(mixed(_numbers(self._whole)[left] + pictures[left]))]] = DUPLICATE
        if self.settings.near_duplicates is not None:
            left = np.flatnonzero(result == "")
            result[left[self._is_near(left, pictures)]] = NEAR
        return [reason or None for reason in result.tolist()]

    def _claim(self, item: Comparison) -> None:
        """One claim for each pair: which two texts, and which of them is preferred."""
        prompt, owner = text_key(prompt_text(item.messages)), len(self._whole) - 1
        keys = [text_key(response) for response in item.responses]
        for pair in item.pairs:
            better, worse = keys[pair.better], keys[pair.worse]
            self._claims.append(digest(f"{prompt} {min(better, worse)} {max(better, worse)}"))
            self._directions.append(better < worse)  # texts that differ in case alone have one key, and contradict nothing
            self._owners.append(owner)

    def _conflicting(self, pictures: np.ndarray) -> np.ndarray:
        """Indices of the comparisons with a claim that another denies."""
        owners = np.array(self._owners, dtype=np.int64)
        directions = np.array(self._directions, dtype=bool)
        _, first, place = np.unique(mixed(_numbers(self._claims) + pictures[owners]), return_index=True, return_inverse=True)
        differs = directions != directions[first][place]
        if self.settings.conflicts == "drop":
            differs = (np.bincount(place, weights=differs, minlength=len(first)) > 0)[place]
        return np.unique(owners[differs])

    def _is_near(self, left: np.ndarray, pictures: np.ndarray) -> np.ndarray:
        """(len(left),) bool: whether an earlier one has nearly the same prompt and responses, and the same pictures and numbers."""
        threshold = self.settings.near_duplicates
        prompts, responses = (_rows(values)[left] for values in (self._prompts, self._responses))
        same = mixed(_numbers(self._numbers)[left] + pictures[left])
        pairs = near_pairs(responses, threshold)
        one, other = pairs.T
        is_same = same[one] == same[other]
        for start in range(0, len(pairs), _BLOCK):
            block = slice(start, start + _BLOCK)
            for signatures in (prompts, responses):
                is_same[block] &= similarity(signatures[one[block]], signatures[other[block]]) >= threshold
        return first_of_group(len(left), pairs[is_same]) != np.arange(len(left))


def _statement(item: Comparison) -> str:
    """All that a comparison says, its pictures left out; the order of its responses does not count."""
    texts = item.responses
    preferred = sorted((texts[pair.better], texts[pair.worse]) for pair in item.pairs)
    tied = sorted(sorted((texts[one], texts[other])) for one, other in item.ties)
    return json.dumps([item.messages, sorted(texts), preferred, tied])


def _rows(values: array) -> np.ndarray:
    return np.array(values, dtype=np.uint16).reshape(-1, NUM_HASHES)


def _is_later(keys: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the key stood before."""
    _, first = np.unique(keys, return_index=True)
    result = np.ones(len(keys), dtype=bool)
    result[first] = False
    return result


def _numbers(values: array) -> np.ndarray:
    return np.array(values, dtype=np.uint64)
