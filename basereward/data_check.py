"""What a preference file holds and what is wrong with it.    basereward data check path=my_pairs.jsonl

Prints counts, drops by reason, lengths, image sizes and one decoded example; writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from basereward.accounts import SourceData, read
from basereward.config import build
from basereward.encode import Encoder
from basereward.errors import ConfigError
from basereward.images import image_size
from basereward.problems import BadRows, counted
from basereward.reading import with_progress
from basereward.recipes import Recipe
from basereward.records import Comparison
from basereward.text_tables import HEADER, counts, histogram, share, spread, table


@dataclass
class DataCheckSettings:
    """Everything ``basereward data check`` reads."""

    recipe: dict[str, Any] = field(default_factory=dict)
    """Config node of a recipe, with ``_target_``."""
    path: str | None = None
    """A file, a pattern, a folder, or the id of a Hub dataset; null reads the dataset of the recipe's card from the Hub."""
    image_root: str | None = None
    """Folder that relative image paths start from; the file's own when null."""
    model: str | None = None
    """A checkpoint folder or Hub id whose tokenizer counts the lengths; characters when null."""
    max_length: int | None = None
    """With ``model``: counts the comparisons whose longest prefix + response has more tokens."""
    example: int = 0
    """Which comparison to print, counted from 0."""


SETTINGS = DataCheckSettings


def plan(settings: DataCheckSettings) -> str:
    """What would be read."""
    recipe = make_recipe(settings)
    files = [str(file) for file in recipe.files()]
    return (
        "plan: read " + (", ".join(files) or f"{recipe.path} from the Hub") + f" with {type(recipe).__name__}; nothing is written"
    )


def run(settings: DataCheckSettings) -> int:
    """Prints the account of the data.

    Raises:
        BadRows: after everything else was printed, when rows have problems.
    """
    encoder = Encoder.from_folder(settings.model) if settings.model is not None else None
    data = read(make_recipe(settings), on_error="skip")
    print(check(data, encoder, max_length=settings.max_length, example=settings.example))
    if data.problems:
        title = f"{data.manifest['rows_read']:,} read from {data.manifest['path']}"
        raise BadRows(
            data.problems,
            title=title,
            advice="correct the rows; training refuses the file, or leaves them out with data.on_error=skip",
        )
    return 0


def make_recipe(settings: DataCheckSettings) -> Recipe:
    """The recipe with the path and image folder of the command."""
    if settings.max_length is not None and settings.model is None:
        raise ConfigError(
            "max_length: expected beside model=, whose tokens it counts; found no model; add model=<folder or Hub id>"
        )
    return recipe_at(settings.recipe, settings.path, settings.image_root)


def recipe_at(node: Mapping[str, Any], path: str | None, image_root: str | None) -> Recipe:
    """A recipe of a config with another path and image folder, where those are given."""
    given = {"path": path, "image_root": image_root}
    rest = {key: value for key, value in node.items() if key not in given}
    return build(rest | {key: value for key, value in given.items() if value is not None}, "recipe")


def check(data: SourceData, encoder: Encoder | None = None, *, max_length: int | None = None, example: int = 0) -> str:
    """The printed account of comparisons.

    Args:
        encoder: counts lengths in tokens; characters without one.
        max_length: tokens; None counts nothing.
        example: index of the comparison to show.
    """
    items = data.comparisons
    if not -len(items) <= example < len(items):
        raise ConfigError(
            f"example: expected a number below {len(items)}, the comparisons there are; found {example}; choose a smaller one"
        )
    sections = [
        account(data),
        contents(items),
        lengths(items, encoder, max_length),
        bias(items),
        image_sizes(items),
        show(items[example], encoder),
    ]
    return "\n\n".join(section for section in sections if section)


def account(data: SourceData) -> str:
    """Rows read, dropped and used."""
    m = data.manifest
    in_files = [("rows in the files", f"{m['rows_in_files']:,}")] if m["rows_in_files"] != m["rows_read"] else []
    rows = [*in_files, ("rows read", f"{m['rows_read']:,}"), ("used", f"{m['used']:,}")]
    rows += [(f"dropped: {reason}", f"{count:,}") for reason, count in m["dropped"].items()]
    facts = [f"{m['path']}", *(f"note: {note}" for note in m["notes"]), f"licence: {m['licence']}"]
    return "\n".join(facts) + "\n\n" + table(("rows", ""), rows)


def contents(items: Sequence[Comparison]) -> str:
    """How many there are of everything that is counted in whole numbers."""
    groups = Counter(item.group for item in items)
    rows = [
        ("comparisons", f"{len(items):,}"),
        ("pairs", f"{sum(len(item.pairs) for item in items):,}"),
        ("tied pairs", f"{sum(len(item.ties) for item in items):,}"),
        ("different prompts", f"{len(groups):,}"),
        ("most comparisons of one prompt", f"{max(groups.values()):,}"),
        ("with a system prompt", share(sum(item.messages[0]["role"] == "system" for item in items), len(items))),
        ("with several turns", share(sum(sum(t["role"] == "user" for t in item.messages) > 1 for item in items), len(items))),
        ("responses each", counts(len(item.responses) for item in items)),
        ("images each", counts(len(item.images) for item in items)),
        ("ids used twice", f"{len(items) - len({item.id for item in items}):,}"),
    ]
    categories = Counter(item.category for item in items if item.category)
    rows += [(f"category {name}", share(count, len(items))) for name, count in categories.most_common(12)]
    return table(("comparisons", ""), rows)


def lengths(items: Sequence[Comparison], encoder: Encoder | None, max_length: int | None) -> str:
    """Percentiles and a histogram of lengths, in tokens or characters."""
    measured = [measure(item, encoder) for item in with_progress(items, "measuring", unit=" comparisons")]
    prompts = np.array([prompt for prompt, _ in measured])
    longest = np.array([prompt + max(responses) for prompt, responses in measured])
    better = [responses[pair.better] for item, (_, responses) in zip(items, measured, strict=True) for pair in item.pairs]
    worse = [responses[pair.worse] for item, (_, responses) in zip(items, measured, strict=True) for pair in item.pairs]
    unit = "tokens" if encoder is not None else "characters"
    rows = [
        spread("prompt", prompts),
        spread("better response", better),
        spread("worse response", worse),
        spread("prompt + longest", longest),
    ]
    parts = [table((unit, *HEADER), rows)]
    parts.append(f"{unit} of prompt + longest response\n" + histogram(longest))
    if max_length is not None:
        parts.append(f"longer than max_length={max_length}: {share(int((longest > max_length).sum()), len(items))}")
    return "\n\n".join(parts)


def bias(items: Sequence[Comparison]) -> str:
    """What a model could learn without reading: which side is longer, and which begins or ends with white space."""
    pairs = [(item.responses[pair.better], item.responses[pair.worse]) for item in items for pair in item.pairs]
    rows = [
        ("better response is longer (characters)", share(sum(len(a) > len(b) for a, b in pairs), len(pairs))),
        ("better response is shorter", share(sum(len(a) < len(b) for a, b in pairs), len(pairs))),
        ("white space around the better response", share(sum(a != a.strip() for a, _ in pairs), len(pairs))),
        ("white space around the worse response", share(sum(b != b.strip() for _, b in pairs), len(pairs))),
    ]
    return table(("pairs", ""), rows)


def image_sizes(items: Iterable[Comparison]) -> str:
    """Percentiles of the sizes of all images, each use counted."""
    sizes = np.array([image_size(ref) for item in items for ref in item.images])
    if not len(sizes):
        return ""
    ratio = sizes.max(axis=1) / sizes.min(axis=1)
    rows = [spread("width", sizes[:, 0]), spread("height", sizes[:, 1]), spread("longer / shorter side", ratio, digits=2)]
    heading = table((f"pixels of {len(sizes):,} images", *HEADER), rows)
    return heading + "\n\nwidth x height in pixels\n" + histogram(sizes.prod(axis=1))


def measure(item: Comparison, encoder: Encoder | None) -> tuple[int, tuple[int, ...]]:
    """Lengths of the prompt and of the N responses: tokens with an encoder, characters without one."""
    if encoder is not None:
        found = encoder.length(item)
        return found.prefix, found.responses
    prompt = sum(len(part.get("text", "")) for turn in item.messages for part in turn["content"])
    return prompt, tuple(map(len, item.responses))


def show(item: Comparison, encoder: Encoder | None) -> str:
    """One comparison: the prompt as the model reads it (or turn by turn), the responses from best to worst."""
    lines = [f"example: {item.id}" + (f" ({item.where})" if item.where != item.id else "")]
    lines += [f"  image {index}: {_image_line(ref)}" for index, ref in enumerate(item.images, 1)]
    prompt = (
        encoder.chat.prefix_text(item.messages) if encoder is not None else "\n".join(_turn_line(turn) for turn in item.messages)
    )
    lines += [f"  | {line}" for line in prompt.rstrip("\n").split("\n")]
    wins = Counter(pair.better for pair in item.pairs)
    order = sorted(range(len(item.responses)), key=lambda index: -wins[index])
    lines += [f"  response {index}, preferred {counted(wins[index], 'time')}: {item.responses[index]}" for index in order]
    return "\n".join(lines)


def _turn_line(turn: dict) -> str:
    return f"{turn['role']}: " + "".join("<image>" if part["type"] == "image" else part["text"] for part in turn["content"])


def _image_line(ref: object) -> str:
    width, height = image_size(ref)
    return f"{width} x {height}, " + (
        ref if isinstance(ref, str) else f"{len(ref)} bytes" if isinstance(ref, bytes) else "in memory"
    )
