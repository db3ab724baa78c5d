"""A comparison: one prompt, its images, N >= 2 responses, and which is better than which; and how a row becomes one.

`parse_row` reads every spelling listed in `spellings.py` and refuses, with all reasons at once, a row that says something else.
It opens no image file: that the files exist and decode is checked where files are read (`accounts.read`).
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from basereward.archives import join
from basereward.preferences import Pair, is_finite, read_order
from basereward.problems import Notes, Problem, RowError, counted, report, shown
from basereward.spellings import OTHER_KEYS, SPELLING_KEYS, Draft, read_prompt, read_spelling

__all__ = ["Comparison", "Pair", "Problem", "RowError", "image_key", "parse_prompt", "parse_row", "report", "without_images"]

RECORD_KEYS = SPELLING_KEYS | OTHER_KEYS
IMAGE_KINDS = 'a path, bytes, a PIL image, or {"bytes", "path"}'
# Keys that a row may lack without anybody noticing: a misspelt one would be lost in silence, so near misses are refused.
_SILENT_KEYS = ("image", "images", "margin", "probability", "weight", "system")
_IGNORED_KEYS = frozenset(("loss_weight", "rejected_images"))


@dataclass(frozen=True)
class Comparison:
    """What every stage after reading sees of a row. Nothing in it is changed after it is made."""

    messages: tuple[dict, ...]
    """The prompt: {"role": "system"|"user"|"assistant", "content": parts}, where a part is {"type": "image"} or
    {"type": "text", "text": str}. The last role is user."""
    images: tuple[object, ...]
    """One per image part, in order: a path or `archive::member` (str), bytes, or a PIL image."""
    responses: tuple[str, ...]
    """At least two."""
    pairs: tuple[Pair, ...]
    """At least one, unless all responses are tied and the source keeps such rows; the responses of a pair differ."""
    id: str
    source: str = ""
    """Name of the data source in the config; a row's own `source` is kept in `meta`."""
    category: str = ""
    weight: float = 1.0
    """Of the whole comparison in the loss; its pairs share it."""
    ranks: tuple[int, ...] | None = None
    """0 is the best, without gaps; only when the row had ranks."""
    scores: tuple[float, ...] | None = None
    """Higher is better; only when the row had scores."""
    ties: tuple[tuple[int, int], ...] = ()
    """Pairs of responses with equal ranks or scores, the first index below the second."""
    text_rewards: tuple[float, ...] | None = None
    """What a model that sees no pictures gives for the responses; with `data.text_only_scores`."""
    meta: Mapping = field(default_factory=dict)
    where: str = ""
    """`file:line`, for messages."""

    @property
    def num_responses(self) -> int:
        """How many rewards it takes."""
        return len(self.responses)

    @functools.cached_property
    def group(self) -> str:
        """32 hexadecimal digits that two comparisons share when their prompts and images are the same, a file being its path.

        A validation split keeps on one side what is also the same when files are their content: `Part.groups` of `comparisons`.
        """
        return self.group_by(image_key)

    def group_by(self, name: Callable[[object], str]) -> str:
        """`group`, with images that have one name as the same."""
        return _digest([self.messages, [name(ref) for ref in self.images]])


def parse_row(
    row: object, *, where: str, image_root: str | os.PathLike | None = None, source: str = "", default_id: str = "",
    keep_ties: bool = False,
) -> Comparison:  # fmt: skip
    """Turns one row, in any known spelling, into a comparison.

    Args:
        row: a mapping as read from JSON, Parquet or Arrow.
        where: `file:line`, for messages.
        image_root: folder or archive that relative image paths start from; None leaves them as they are.
        source: the data source's name in the config.
        default_id: the id of a row that has none; `where` when empty.
        keep_ties: a row whose responses are all tied becomes a comparison without pairs; otherwise it is a problem.

    Raises:
        RowError: with every problem of the row.

    >>> parse_row({"prompt": "Best colour?", "chosen": "Red.", "rejected": ""}, where="a.jsonl:1")
    Traceback (most recent call last):
    ...
    basereward.problems.RowError: a.jsonl:1: expected `rejected` to have text; found ''; fill it in or drop the row
    """
    notes = Notes(where)
    if not isinstance(row, Mapping):
        notes.add("wrong type", "a JSON object", shown(row), "write one object per row")
        raise RowError(notes.problems)
    row = {key: value for key, value in row.items() if value is not None}
    name = str(row.get("id", default_id))
    notes.id = name if _is_text(name) else ascii(name)
    draft = read_spelling(row, notes)
    _check_texts(draft, notes)
    for key in ("id", "category", "source"):
        _check_text(str(row.get(key, "")), key, notes)
    images = _images(row, draft, image_root, notes)
    meta = _meta(row, source, notes)
    weight = _number(row, "weight", 1.0, notes)
    order = read_order(row, draft, notes, margin=_number(row, "margin", 0.0, notes), keep_ties=keep_ties)
    notes.raise_if_any()
    return Comparison(
        messages=tuple(draft.messages),
        images=images,
        responses=tuple(draft.responses),
        pairs=order.pairs,
        id=name or where,
        source=source or str(row.get("source", "")),
        category=str(row.get("category", "")),
        weight=weight,
        ranks=order.ranks,
        scores=order.scores,
        ties=order.ties,
        meta=meta,
        where=where,
    )


def parse_prompt(
    messages: str | Sequence, images: Sequence[object] = (), *, where: str = "prompt", image_root: str | os.PathLike | None = None
) -> tuple[tuple[dict, ...], tuple[object, ...]]:
    """A prompt without responses -> what `Comparison.messages` and `Comparison.images` hold.

    Raises:
        RowError: with every problem of the prompt.

    >>> parse_prompt("Which one is red? <image>", ["car.jpg"])[1]
    ('car.jpg',)
    """
    notes = Notes(where)
    draft = read_prompt({"prompt": messages}, notes)
    _check_texts(draft, notes)
    refs = _images({"images": images}, draft, image_root, notes)
    notes.raise_if_any()
    return tuple(draft.messages), refs


def without_images(comparison: Comparison) -> Comparison:
    """The same comparison with its pictures gone: what a blind model sees."""
    messages = tuple(m | {"content": [part for part in m["content"] if part["type"] != "image"]} for m in comparison.messages)
    return replace(comparison, messages=messages, images=())


def image_key(ref: object) -> str:
    """What makes two references the same image: the path of a path, a hash of the content of bytes and PIL images."""
    if isinstance(ref, str | os.PathLike):
        return os.fspath(ref)
    if isinstance(ref, Image.Image):
        return hashlib.blake2b(repr((ref.mode, ref.size)).encode() + ref.tobytes(), digest_size=16).hexdigest()
    return hashlib.blake2b(ref, digest_size=16).hexdigest()


def _digest(value: object) -> str:
    return hashlib.blake2b(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _check_texts(draft: Draft, notes: Notes) -> None:
    """Every text of the prompt and the responses can be written as UTF-8, which a tokenizer needs."""
    for turn in draft.messages:
        for part in turn["content"]:
            _check_text(part.get("text", ""), f"the {turn['role']} turn", notes)
    for index, text in enumerate(draft.responses):
        name = ("chosen", "rejected")[index] if draft.is_pair else f"responses[{index}]"
        _check_text(text, name, notes)


def _check_text(text: str, name: str, notes: Notes) -> None:
    if _is_text(text):
        return
    place = next(index for index, character in enumerate(text) if not _is_text(character))
    found = f"half of a surrogate pair, {ascii(text[place])}, at character {place}"
    notes.add("not valid text", f"`{name}` to be valid Unicode", found, "write the whole character, or drop the row")


def _is_text(text: str) -> bool:
    """False for half a surrogate pair, which JSON can hold and UTF-8 cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _images(row: Mapping, draft: Draft, root: str | os.PathLike | None, notes: Notes) -> tuple[object, ...]:
    """The images in the order of the parts; adds the parts to the first user turn when no marker says where they stand."""
    if "image" in row and "images" in row:
        notes.add("two image keys", "`image` or `images`", "both", "keep `images`, as a list")
    given = row.get("images", row.get("image", []))
    given = list(given) if isinstance(given, list | tuple) else [given]
    if given and draft.inline_images:
        notes.add("two image keys", "images in the messages or in `images`", "both", "keep one of them")
    given = given or draft.inline_images
    refs = tuple(ref for ref in (_image_ref(value, root, notes) for value in given) if ref is not None)
    parts = [part for turn in draft.messages for part in turn["content"] if part["type"] == "image"]
    if given and not parts:
        first = next((turn for turn in draft.messages if turn["role"] == "user"), None)
        if first is not None:
            first["content"] = [{"type": "image"} for _ in given] + first["content"]
    elif len(parts) != len(given) and draft.messages:
        more = len(parts) > len(given)
        found = f"{counted(len(parts), 'marker')} and {counted(len(given), 'image')}"
        advice = "add the missing images or remove markers" if more else "add markers, or remove all to put the images first"
        notes.add(f"{'more' if more else 'fewer'} image markers than images", "one <image> marker for each image", found, advice)
    return refs


def _image_ref(value: object, root: str | os.PathLike | None, notes: Notes) -> object:
    given = value
    if isinstance(value, Mapping):
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str) and path.strip() and "\0" not in path and not path.startswith(("http://", "https://", "data:")):
            return join(root, path)
    elif isinstance(value, bytes | bytearray):
        if value:
            return bytes(value)
    elif isinstance(value, Image.Image):
        return value
    is_url = isinstance(value, str) and value.startswith(("http://", "https://", "data:"))
    advice = "download it and give its path; nothing is fetched while data are read" if is_url else "correct `images`"
    notes.add("wrong type", f"an image: {IMAGE_KINDS}", shown(given), advice)
    return None


def _number(row: Mapping, key: str, default: float, notes: Notes) -> float:
    value = row.get(key, default)
    if is_finite(value) and (key == "margin" or value > 0):
        return float(value)
    expected = f"`{key}` to be a finite number" + ("" if key == "margin" else " above 0")
    notes.add(f"{key} not a number", expected, shown(value), f"correct `{key}` or leave it out")
    return default


def _meta(row: Mapping, source: str, notes: Notes) -> dict:
    """`meta`, and with it every key that is not ours, so that nothing of a row is lost."""
    given = row.get("meta", {})
    if not isinstance(given, Mapping):
        notes.add("wrong type", "`meta` to be an object", shown(given), 'write "meta": {...}')
        given = {}
    meta = dict(given)
    for key in row:
        if key in RECORD_KEYS or key in _IGNORED_KEYS:
            continue
        meta[key] = row[key]
        if (meant := _misspelt(key)) and meant not in row:
            notes.add("misspelt key", f"`{meant}`", f"`{key}`", f"rename it to `{meant}`, or move it into `meta`")
    if "rejected_images" in row:
        expected = "the same images for both answers"
        notes.add("images differ", expected, "`rejected_images`", "drop the row: a comparison has one prompt")
    if source and "source" in row:
        meta["source"] = row["source"]
    return meta


@functools.lru_cache(maxsize=4096)
def _misspelt(key: object) -> str:
    close = difflib.get_close_matches(str(key).lower(), _SILENT_KEYS, n=1, cutoff=0.8)
    return close[0] if close else ""
