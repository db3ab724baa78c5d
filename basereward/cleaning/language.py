"""A text -> the language it is mostly in, by its script, and for Latin letters by its commonest words; or None.

A rough sorter for whole prompts and responses, not for single words: docs/data.md says how often it is right.
"""

from __future__ import annotations

import re
from collections import Counter

SCRIPTS = {
    "kana": r"\u3040-\u30ff\u31f0-\u31ff",
    "han": r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
    "ko": r"\uac00-\ud7af\u1100-\u11ff",
    "ru": r"\u0400-\u04ff",
    "ar": r"\u0600-\u06ff\u0750-\u077f",
    "he": r"\u0590-\u05ff",
    "el": r"\u0370-\u03ff\u1f00-\u1fff",
    "hi": r"\u0900-\u097f",
    "th": r"\u0e00-\u0e7f",
    "latin": r"a-z\u00df-\u024f\u1e00-\u1eff",
}
# A sign of these stands for a syllable or a word, so it weighs as much as this many letters.
WEIGHTS = {"kana": 2, "han": 4, "ko": 3}
# Function words that a page of the language can hardly do without; those that several languages share count for each.
WORDS = {
    "en": "the of and to in is that it was for on are with as be this have from or by an you not which but what can their has will",
    "de": "der die das und ist nicht ein eine mit auf für von dem den im des sich auch es ich werden sind oder wie zu bei als einer",
    "fr": "le la les des est et une dans que qui pour pas sur avec plus par ce sont vous nous cette du au il elle ou mais être aux",
    "es": "el los las una que es en por con para del se su más como está son pero al lo y esta este sus muy también no sobre o",
    "pt": "os uma que é em por com para da não se mais como dos das ao na está são mas você também e seu sua isso foi pelo",
    "it": "il gli una che è di con del della non si più come dei delle nel sono anche ma alla questo questa ed lo un dal le al",
    "nl": "de het een van en is dat niet op te voor met zijn aan ook er maar die als bij naar wordt deze door worden om uit of kan",
    "sv": "och att det som en på är av för med den till inte har ett om var jag men kan vi så från de eller här sin alla också",
    "pl": "nie się jest na że jak ale czy są przez dla jego tym oraz który która które po od przy lub być tego będzie jako może",
    "tr": "ve bir bu için ile de da çok daha olarak olan gibi ne mi en kadar sonra değil var ise veya her olduğu tarafından ama hem",
    "vi": "và của là có không được trong một các cho với những này đã người để khi từ ra như cũng đến về bạn thể sẽ hoặc trên",
    "id": "yang dan di ini itu dengan untuk dari tidak dalam adalah pada ke akan atau juga bisa ada karena anda saya oleh sebagai lebih",
}
LANGUAGES = ("ar", "el", "he", "hi", "ja", "ko", "ru", "th", "zh", *WORDS)
MAX_CHARS = 4000
"""Of a text that are looked at: more do not change the answer."""
MIN_SHARE, MIN_LEAD = 0.12, 1.25
"""Share of the words that must be function words of the language, and how many times as many as of the next language."""
MIN_LETTERS, MIN_HITS = 8, 2

_LETTERS = {name: re.compile(f"[{ranges}]") for name, ranges in SCRIPTS.items()}
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$[^$\n]*\$|https?://\S+", re.DOTALL)
_WORD = re.compile(rf"[{SCRIPTS['latin']}]+")
_SETS = {code: frozenset(words.split()) for code, words in WORDS.items()}


def language(text: str) -> str | None:
    """The code of the language that most of a text is in; None when too little says so. Code and formulas do not count.

    >>> language("What is the colour of the car?"), language("这辆车是什么颜色的？"), language("42"), language("x = f(y)")
    ('en', 'zh', None, None)
    """
    text = _CODE.sub(" ", text[:MAX_CHARS]).lower()
    weights = Counter({name: WEIGHTS.get(name, 1) * len(letters.findall(text)) for name, letters in _LETTERS.items()})
    (script, weight), *_ = weights.most_common(1)
    if weight < MIN_LETTERS:
        return None
    if script in ("kana", "han"):
        # Japanese is written in both; a Chinese text that quotes a Japanese word has few kana.
        return "ja" if weights["kana"] > 0.1 * weights["han"] else "zh"
    return _by_words(text) if script == "latin" else script


def _by_words(text: str) -> str | None:
    words = Counter(_WORD.findall(text))
    hits = Counter({code: sum(words[word] for word in known & words.keys()) for code, known in _SETS.items()})
    (first, most), (_, next_most) = hits.most_common(2)
    is_clear = most >= MIN_HITS and most >= MIN_SHARE * words.total() and most >= MIN_LEAD * next_most
    return first if is_clear else None
