"""One turn of a conversation, in any spelling, -> {"role", "content"} with content as a list of image and text parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from basereward.errors import near_matches
from basereward.problems import Notes, shown

MARKER = "<image>"
ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "bot": "assistant"}
_IMAGE_REF_KEYS = ("image", "image_url", "url", "path", "value")


def read_turn(raw: object, inline: list[object], notes: Notes) -> dict | None:
    """One message with its content as parts; None when it cannot be understood. References to images go to `inline`."""
    if not isinstance(raw, Mapping):
        notes.add("wrong type", 'a message like {"role": "user", "content": "..."}', shown(raw), "correct the turn")
        return None
    name = raw.get("role") or raw.get("from")
    role = ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        advice = near_matches(str(name), ROLES) if name else "add `role`"
        notes.add("unknown role", "a role among system, user (human), assistant (gpt)", shown(name), advice)
        return None
    content = raw.get("content")
    content = raw.get("value") if content is None else content
    if isinstance(content, str):
        return {"role": role, "content": split_markers(content)}
    if not isinstance(content, list | tuple):
        notes.add("wrong type", f"the {role} turn's content to be a text or a list of parts", shown(content), "correct it")
        return None
    parts: list[dict] = []
    for item in content:
        _add_part(item, parts, inline, notes)
    return {"role": role, "content": parts}


def _add_part(item: object, parts: list[dict], inline: list[object], notes: Notes) -> None:
    kind = "text" if isinstance(item, str) else item.get("type") if isinstance(item, Mapping) else None
    if kind == "text":
        text = item if isinstance(item, str) else _first(item, ("text", "value"))
        if isinstance(text, str):
            parts.extend(split_markers(text))
            return
    elif kind in ("image", "image_url"):
        parts.append({"type": "image"})
        ref = _first(item, _IMAGE_REF_KEYS)
        ref = ref.get("url", ref) if isinstance(ref, Mapping) else ref
        if ref is not None:
            inline.append(ref)
        return
    advice = "video and audio are not read: give frames as images" if kind in ("video", "audio") else "correct the part"
    notes.add("wrong type", 'a part like {"type": "image"} or {"type": "text", "text": "..."}', shown(item), advice)


def split_markers(text: str) -> list[dict]:
    """Text with `<image>` markers -> parts in order; the line break after a marker that begins its line belongs to the marker.

    >>> split_markers("<image>\\nWhich one?")
    [{'type': 'image'}, {'type': 'text', 'text': 'Which one?'}]
    """
    if MARKER not in text:
        return [{"type": "text", "text": text}] if text else []
    parts: list[dict] = []
    begins_line = True
    for index, piece in enumerate(text.split(MARKER)):
        if index:
            parts.append({"type": "image"})
            piece = piece.removeprefix("\n") if begins_line else piece
        if piece:
            parts.append({"type": "text", "text": piece})
            begins_line = piece.endswith("\n")
    return parts


def response_text(raw: object, name: str, notes: Notes) -> str:
    """A response as a string, from a text, a message, a list of one message, or a list of text parts."""
    value = (
        raw[0]
        if isinstance(raw, list | tuple) and len(raw) == 1 and isinstance(raw[0], Mapping) and "type" not in raw[0]
        else raw
    )
    if isinstance(value, Mapping):
        role = value.get("role") or value.get("from")
        if role is not None and ROLES.get(str(role)) != "assistant":
            notes.add("unknown role", f"`{name}` to be an answer of the assistant", f"role {shown(role)}", "correct the role")
            return ""
        value = _first(value, ("content", "value"))
    if isinstance(value, list | tuple) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in value):
        value = "".join(str(_first(part, ("text", "value")) or "") for part in value)
    if not isinstance(value, str):
        notes.add("wrong type", f"`{name}` to be a text or one assistant message", shown(raw), "correct the response")
        return ""
    if not value.strip():
        notes.add("empty response", f"`{name}` to have text", shown(value), "fill it in or drop the row")
    return value


def check_roles(messages: Sequence[dict], notes: Notes) -> None:
    """A prompt has at most one system turn, its first, and ends with a user turn that says or shows something."""
    roles = [turn["role"] for turn in messages]
    if "system" in roles[1:]:
        found = f"system at turns {[i for i, role in enumerate(roles) if role == 'system']}"
        notes.add("misplaced system turn", "at most one system turn, the first", found, "keep one system prompt")
    if not roles or roles[-1] != "user":
        found = f"{roles[-1] if roles else 'no turn'} as the last turn"
        notes.add("last turn not user", "the prompt to end with a user turn", found, "move the answer into the responses")
    elif not any(part["type"] == "image" or part["text"].strip() for part in messages[-1]["content"]):
        notes.add("empty prompt", "the last user turn to have text or an image", "neither", "fill it in or drop the row")


def plain_turn(turn: object) -> tuple[str, str]:
    """Role and content of a turn, comparable between spellings of the same thing."""
    if not isinstance(turn, Mapping):
        return "", repr(turn)
    content = _first(turn, ("content", "value"))
    role = str(turn.get("role") or turn.get("from"))
    return ROLES.get(role, role), content if isinstance(content, str) else repr(content)


def _first(mapping: Mapping, keys: Sequence[str]) -> object:
    return next((mapping[key] for key in keys if mapping.get(key) is not None), None)
