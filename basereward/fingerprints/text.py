"""Texts -> keys that survive another case, spacing, Unicode form or typography; two texts with one key are the same text."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

# Letters and digits from which on a text is long: punctuation no longer counts, and a response says by itself where it is from.
# Boilerplate such as "I'm sorry, but I can't assist with that request." has 37.
LONG = 60

_NOT_ALNUM = bytes(byte for byte in range(128) if not chr(byte).isalnum())
_SPACE = bytes(byte for byte in range(128) if chr(byte).isspace())
_NOT_WORD = re.compile(r"[\W_]+")
_ASCII_WORDS = bytes(byte if chr(byte).isalnum() else 32 for byte in range(128)) + bytes(128)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def folded(text: str) -> str:
    """Lower case in the widest sense, in one Unicode form.

    >>> folded("ﬁne STRASSE Straße Ｆｕｌｌ")
    'fine strasse strasse full'
    """
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def compact(text: str) -> str:
    """What of a text is compared: letters and digits alone of a long one; of a short one everything but white space.

    Punctuation may be all that short answers differ in.

    >>> compact("- 2"), compact("2"), compact("  The Car\\n is RED. ")
    ('-2', '2', 'thecarisred.')
    """
    letters = _only_letters(text)
    return letters if len(letters) >= LONG else _without_space(text)


def is_long(text: str) -> bool:
    """Whether a text is long enough to be recognised by itself."""
    return len(_only_letters(text)) >= LONG


def text_key(text: str) -> int:
    """64 bits that two texts share when `compact` is the same for both.

    >>> text_key("It's  RED") == text_key("it's red"), text_key("-2") == text_key("2")
    (True, False)
    """
    return digest(compact(text))


def digest(text: str) -> int:
    """64 bits of a hash of a text's bytes; half a surrogate pair counts as its escape."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def spaced(text: str) -> bytes:
    """Words with one space between them, in UTF-8: what near duplicates are compared by.

    >>> spaced("**Red**,  and\\nblue!")
    b'red and blue'
    """
    if text.isascii():
        return b" ".join(text.lower().encode("ascii").translate(_ASCII_WORDS).split())
    return _NOT_WORD.sub(" ", folded(text)).strip().encode("utf-8", "surrogatepass")


def numbers_key(texts: Sequence[str]) -> int:
    """64 bits of the numbers in texts, in order: exercises that differ in a number alone are not duplicates."""
    return digest(" ".join(number for text in texts for number in _NUMBER.findall(text)))


def prompt_text(messages: Sequence[dict], *, with_system: bool = True) -> str:
    """What was said before the responses, a line for each turn.

    >>> prompt_text([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which colour?"}]}])
    'Which colour?'
    """
    turns = (turn for turn in messages if with_system or turn["role"] != "system")
    return "\n".join("".join(part.get("text", "") for part in turn["content"]) for turn in turns)


def _only_letters(text: str) -> str:
    if text.isascii():
        return text.lower().encode("ascii").translate(None, _NOT_ALNUM).decode("ascii")
    return _NOT_WORD.sub("", folded(text))


def _without_space(text: str) -> str:
    if text.isascii():
        return text.lower().encode("ascii").translate(None, _SPACE).decode("ascii")
    return "".join(folded(text).split())
