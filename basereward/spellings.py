"""One row in any spelling people use for preferences -> the turns of its prompt and its response texts.

Read as they are: our own three spellings, TRL's preference columns (with an explicit or an implicit prompt), LLaMA-Factory's
ranking rows (sharegpt, alpaca, and the typed `chosen_messages`), and ms-swift's `messages` with `rejected_response` or
`rejected_messages`. Nothing here looks at image files, ranks or scores.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from basereward.problems import Notes, shown
from basereward.turns import ROLES, check_roles, plain_turn, read_turn, response_text

PROMPT_KEYS = ("messages", "conversations", "prompt", "instruction")
SPELLING_KEYS = frozenset(
    ("prompt", "messages", "conversations", "instruction", "input", "history", "system", "chosen", "rejected")
    + ("chosen_messages", "rejected_messages", "rejected_response", "responses")
)
PAIR_KEYS = ("chosen", "rejected", "chosen_messages", "rejected_messages", "rejected_response")
# What a row may hold beside its prompt and responses.
OTHER_KEYS = frozenset(
    ("image", "images", "ranks", "scores", "id", "source", "category", "margin", "probability", "weight", "meta")
)
# What other files call our keys; said in the advice, never assumed.
_OTHER_NAMES = {"query": "prompt", "question": "prompt", "response": "responses", "answers": "responses"}


@dataclass(slots=True)
class Draft:
    """A row after its spelling is understood: content is lists of parts, responses are strings (better first for a pair)."""

    messages: list[dict] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    inline_images: list[object] = field(default_factory=list)
    is_pair: bool = True


def read_spelling(row: Mapping, notes: Notes) -> Draft:
    """Understands a row; what cannot be understood is added to `notes` and left out of the draft.

    Args:
        row: without keys whose value is None.
        notes: receives the problems.
    """
    draft = Draft(is_pair="responses" not in row)
    turns, responses = _find_spelling(row, notes)
    draft.messages = [turn for raw in turns if (turn := read_turn(raw, draft.inline_images, notes))]
    draft.responses = [response_text(raw, name, notes) for name, raw in responses]
    if not notes.problems:
        check_roles(draft.messages, notes)
    return draft


def read_prompt(row: Mapping, notes: Notes) -> Draft:
    """As `read_spelling`, for a row that has a prompt and nothing to compare."""
    draft = Draft()
    draft.messages = [turn for raw in _prompt_turns(row, notes) if (turn := read_turn(raw, draft.inline_images, notes))]
    if not notes.problems:
        check_roles(draft.messages, notes)
    return draft


def _find_spelling(row: Mapping, notes: Notes) -> tuple[Sequence, list[tuple[str, object]]]:
    """The raw turns of the prompt, and the raw responses with the names that messages use for them."""
    if "responses" in row:
        _refuse_second_spelling(row, notes)
        raw = row["responses"]
        if not isinstance(raw, list | tuple):
            notes.add("wrong type", "`responses` to be a list of texts", shown(raw), 'write ["first", "second"]')
            raw = []
        return _prompt_turns(row, notes), [(f"responses[{index}]", text) for index, text in enumerate(raw)]
    if "chosen_messages" in row:
        return _two_conversations(row, "chosen_messages", "rejected_messages", notes)
    if "rejected_messages" in row:
        return _two_conversations(row, "messages", "rejected_messages", notes)
    if "rejected_response" in row:
        return _answered_messages(row, notes)
    if "chosen" in row and "rejected" in row:
        if _is_conversation(row["chosen"]) or _is_conversation(row["rejected"]):
            return _two_conversations(row, "chosen", "rejected", notes)
        return _prompt_turns(row, notes), [("chosen", row["chosen"]), ("rejected", row["rejected"])]
    _note_missing(row, notes)
    return [], []


def _refuse_second_spelling(row: Mapping, notes: Notes) -> None:
    """Responses that stand beside `responses` would be lost in silence."""
    if others := [key for key in PAIR_KEYS if key in row]:
        advice = "drop one of the two, or put all texts in `responses` with `ranks` or `scores`"
        notes.add("two spellings in one row", "`responses` alone", f"{_listed(others)} beside it", advice)


def _note_missing(row: Mapping, notes: Notes) -> None:
    """One problem for all that a row lacks: preferences, and its prompt."""
    expected = "`chosen` and `rejected`, or `responses` with `ranks` or `scores`"
    wanted = ("chosen", "rejected")
    if not any(key in row for key in PROMPT_KEYS):
        expected = f"a prompt under {_listed(PROMPT_KEYS)}, and {expected}"
        wanted += PROMPT_KEYS
    notes.add("missing keys", expected, _keys_of(row), _renames(row, wanted))


def _note_missing_prompt(row: Mapping, notes: Notes) -> None:
    is_transcript = any(
        isinstance(row.get(key), str) and row[key].lstrip().startswith("Human:") for key in ("chosen", "rejected")
    )
    advice = "a transcript that begins with Human: is read with recipe=hh_rlhf" if is_transcript else _renames(row, PROMPT_KEYS)
    notes.add("missing keys", f"a prompt under {_listed(PROMPT_KEYS)}", _keys_of(row), advice)


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _keys_of(row: Mapping) -> str:
    return f"the keys {', '.join(map(str, row)) or '(none)'}"


def _renames(row: Mapping, wanted: Sequence[str]) -> str:
    """Which of the keys that are there look like the ones that are not; a key with a meaning of its own is no misspelt one."""
    spare = [str(name) for name in row if name not in SPELLING_KEYS | OTHER_KEYS]
    close = {key: difflib.get_close_matches(key, spare, n=1) for key in wanted if key not in row}
    renames = [f"`{found[0]}` to `{key}`" for key, found in close.items() if found]
    renames += [f"`{name}` to `{meant}`" for name, meant in _OTHER_NAMES.items() if name in spare and meant not in row]
    return f"rename {' and '.join(renames)}" if renames else "rename the columns, or write a recipe for this file"


def _prompt_turns(row: Mapping, notes: Notes) -> list:
    key = next((key for key in PROMPT_KEYS if key in row), None)
    if key is None:
        _note_missing_prompt(row, notes)
        return []
    return [*_system(row, notes), *_history(row, notes), *_turns_of(row, key, notes)]


def _turns_of(row: Mapping, key: str, notes: Notes) -> list:
    value = row[key]
    if isinstance(value, str) and key in ("prompt", "instruction"):
        extra = row.get("input", "") if key == "instruction" else ""
        return [{"role": "user", "content": f"{value}\n{extra}" if extra else value}]
    if isinstance(value, list | tuple):
        return list(value)
    what = "a text or a list of messages" if key == "prompt" else "a text" if key == "instruction" else "a list of messages"
    notes.add("wrong type", f"`{key}` to be {what}", shown(value), 'a message is {"role": "user", "content": "..."}')
    return []


def _system(row: Mapping, notes: Notes) -> list[dict]:
    text = row.get("system", "")
    if not isinstance(text, str):
        notes.add("wrong type", "`system` to be a text", shown(text), "write the system prompt as one string")
        return []
    return [{"role": "system", "content": text}] if text else []


def _history(row: Mapping, notes: Notes) -> list[dict]:
    """LLaMA-Factory's alpaca rows keep earlier turns as [[question, answer], ...]."""
    if "history" not in row or "instruction" not in row:
        return []
    turns = []
    for pair in row["history"] if isinstance(row["history"], list | tuple) else [None]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            notes.add("wrong type", "`history` to be [[question, answer], ...]", shown(row["history"]), "correct it")
            return []
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return turns


def _is_conversation(value: object) -> bool:
    """True for a list of messages that has more than the answer in it (TRL's implicit prompt)."""
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], Mapping):
        return False
    roles = [item.get("role", item.get("from")) for item in value if isinstance(item, Mapping)]
    return any(role is not None for role in roles) and (len(value) > 1 or ROLES.get(str(roles[0])) != "assistant")


def _two_conversations(row: Mapping, better: str, worse: str, notes: Notes) -> tuple[list, list[tuple[str, object]]]:
    """Two whole conversations that share everything but their last message."""
    for key in (better, worse):
        value = row.get(key)
        if not isinstance(value, list | tuple) or len(value) < 2:
            expected = f"`{key}` to be a conversation: the prompt's messages and then the answer"
            notes.add("wrong type", expected, shown(value), f"give `{better}` and `{worse}` in the same form")
            return [], []
    first, second = row[better], row[worse]
    shared = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if plain_turn(a) != plain_turn(b)),
        min(len(first), len(second)),
    )
    if shared < max(len(first), len(second)) - 1:
        found = f"{len(first)} and {len(second)} messages, of which the first {shared} agree"
        expected = f"`{better}` and `{worse}` to differ in their last message only"
        notes.add("conversations diverge early", expected, found, "cut both after the first answer that differs, or drop the row")
        return [], []
    prompt = list(first[:-1])
    _check_spare_prompt(row.get("prompt"), prompt, notes)
    return [*_system(row, notes), *prompt], [(better, first[-1]), (worse, second[-1])]


def _check_spare_prompt(spare: object, prompt: Sequence, notes: Notes) -> None:
    """A `prompt` beside whole conversations repeats one of their turns, or all of them; anything else is a contradiction."""
    turns = [plain_turn(turn) for turn in prompt]
    if spare is None or (isinstance(spare, str) and any(spare.strip() == text.strip() for _, text in turns)):
        return
    if isinstance(spare, list | tuple) and [plain_turn(turn) for turn in spare] == turns:
        return
    expected = "`prompt` to be one of the turns that `chosen` and `rejected` share, or all of them"
    notes.add("prompt contradicts", expected, shown(spare), "drop `prompt`, or give `chosen` and `rejected` as answers alone")


def _answered_messages(row: Mapping, notes: Notes) -> tuple[list, list[tuple[str, object]]]:
    """ms-swift: `messages` ends with the better answer, `rejected_response` is the worse one."""
    turns = row.get("messages")
    last = turns[-1] if isinstance(turns, list | tuple) and turns else None
    role = last.get("role", last.get("from")) if isinstance(last, Mapping) else None
    if ROLES.get(str(role)) != "assistant":
        expected = "`messages` to end with the better answer (an assistant turn), since the row has `rejected_response`"
        notes.add("missing answer", expected, shown(last), "append the better answer to `messages`")
        return [], []
    return [*_system(row, notes), *turns[:-1]], [("the last of messages", last), ("rejected_response", row["rejected_response"])]
