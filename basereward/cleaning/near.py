"""MinHash signatures and languages of comparisons: the facts that take the most time, asked for by few settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from basereward.cleaning import language as languages
from basereward.cleaning.language import LANGUAGES, language
from basereward.fingerprints import minhash, text
from basereward.fingerprints.minhash import NUM_HASHES, signature
from basereward.fingerprints.text import numbers_key, prompt_text, spaced
from basereward.kept.kinds import UNICODE, Kind
from basereward.kept.tables import Table, whole
from basereward.records import Comparison

SPOKEN = (None, *LANGUAGES)
"""What a number of a language stands for."""


def signatures_of(comparisons: Sequence[Comparison]) -> Table:
    """Rows `prompt` and `responses`, signatures of `NUM_HASHES`, and `numbers`, a key of all numbers in the texts."""
    prompts = [prompt_text(item.messages) for item in comparisons]
    numbers = [numbers_key([prompt, *sorted(item.responses)]) for prompt, item in zip(prompts, comparisons, strict=True)]
    return whole({
        "prompt": _rows([signature([spaced(prompt)]) for prompt in prompts]),
        "responses": _rows([signature([spaced(text) for text in item.responses]) for item in comparisons]),
        "numbers": np.array(numbers, dtype=np.uint64),
    })  # fmt: skip


def languages_of(comparisons: Sequence[Comparison]) -> Table:
    """Rows `prompt` and `responses`: numbers into `SPOKEN`."""
    prompts = [SPOKEN.index(language(prompt_text(item.messages))) for item in comparisons]
    responses = [SPOKEN.index(language("\n".join(item.responses))) for item in comparisons]
    return whole({"prompt": np.array(prompts, dtype=np.uint8), "responses": np.array(responses, dtype=np.uint8)})


# The hash functions are drawn by numpy, which may draw others in a later version.
SIGNATURES = Kind("signatures", signatures_of, (minhash, text), (UNICODE, f"numpy {np.__version__}"))
SPEECH = Kind("languages", languages_of, (languages, text))


def _rows(signatures: list[np.ndarray]) -> np.ndarray:
    return np.array(signatures, dtype=np.uint16).reshape(-1, NUM_HASHES)
