"""A data config -> how many comparisons an epoch takes of each source, and how long they are; counted where rows are at hand.

Nothing is fetched: of a set on the Hub its card is asked, and lengths are the plan's assumption. What was taken from where is said.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from basereward.against_paper import rows_by_card
from basereward.data_settings import DataSettings, read_data_settings, source_nodes, val_node
from basereward.encode import Encoder, Lengths
from basereward.errors import BaseRewardError, ConfigError, DataError
from basereward.images import image_size
from basereward.recipes import Recipe
from basereward.records import Comparison, without_images
from basereward.sources import Source, epoch_shares, make_sources, source_stream
from basereward.store.identity import folder_of, may_be_prepared
from basereward.store.stored import Stored, read_manifest

CHARACTERS = 4
"""Of a token, where the tokenizer is not at hand: what English has in the vocabularies of these families, roughly."""
TEMPLATE = 20
"""Tokens that Qwen's chat template adds to one question: the default system prompt, and the beginnings and ends of turns."""


@dataclass(frozen=True)
class Assumed:
    """What stands in for rows that are not at hand; keys of the plan.

    Attributes:
        prompt, response: tokens of text. image: tokens of a picture; 0 for a backbone that reads text only.
        rows: source -> its comparisons, in place of any other word on it. sample: comparisons whose lengths are counted.
    """

    prompt: int
    response: int
    image: int
    rows: Mapping[str, int]
    sample: int


@dataclass(frozen=True)
class Amount:
    """One source.

    Attributes:
        rows: comparisons. counted: where that number is from.
        lengths: of some of its comparisons, evenly spread. measured: where they are from. is_assumed: whether they are no count.
    """

    rows: int
    counted: str
    lengths: Sequence[Lengths]
    measured: str
    is_assumed: bool


@dataclass(frozen=True)
class Data:
    """What a run's data come to.

    Attributes:
        amounts: by source. epoch: comparisons of an epoch, by source. validation: comparisons that are set apart or given.
        dropped: share of each source that is longer than ``batch.max_length``.
    """

    amounts: Mapping[str, Amount]
    epoch: Mapping[str, int]
    validation: int
    dropped: Mapping[str, float]


def amounts_of(data_cfg: Mapping[str, Any], *, encoder: Encoder | None, assumed: Assumed, max_length: int | None) -> Data:
    """The comparisons of a run's data and their lengths.

    Args:
        encoder: of the backbone, where its tokenizer is at hand.

    Raises:
        ConfigError: a value that cannot be used, or a source of which nobody knows the size.
    """
    data_cfg = {**data_cfg, "overlap_with": []}  # benchmarks are looked for by the run itself
    settings = read_data_settings(data_cfg)
    nodes = source_nodes(settings)
    at_hand = _at_hand(data_cfg)
    amounts = {name: _amount(name, node, at_hand.get(name), settings, encoder, assumed) for name, node in nodes.items()}
    amounts = {name: _without_long(amount, max_length) for name, amount in amounts.items()}
    dropped = {name: share for name, (_, share) in amounts.items() if share}
    usable = {name: round(amount.rows * (1 - share)) for name, (amount, share) in amounts.items()}
    validation = _validation(settings, sum(usable.values()))
    if settings.val is None and (total := sum(usable.values())):
        # Which source they are of depends on the rows; in proportion.
        usable = {name: rows - round(validation * rows / total) for name, rows in usable.items()}
    return Data(
        {name: amount for name, (amount, _) in amounts.items()}, epoch_shares(nodes, settings).quotas(usable), validation, dropped
    )


def _at_hand(data_cfg: Mapping[str, Any]) -> dict[str, Source]:
    """The sources whose rows are on this machine, or are drawn."""
    found = {}
    for source in make_sources({**data_cfg, "val": None}):
        try:
            files = source.recipe.files()
        except BaseRewardError:  # not here; a run would say how to fetch them
            continue
        if _num_drawn(source.recipe) is not None or (files and all(file.exists() for file in files)):
            found[source.name] = source
    return found


def _num_drawn(recipe: Recipe) -> int | None:
    """Rows of a recipe that draws them."""
    return getattr(recipe, "n", None) if not recipe.data.is_hub and not recipe.files() else None


def _amount(
    name: str, node: Mapping[str, Any], source: Source | None, settings: DataSettings, encoder: Encoder | None, assumed: Assumed
) -> Amount:
    given = assumed.rows.get(name)
    stored = _stored(source) if source is not None else None
    if source is not None:
        some, total, counted = _some(source, stored, settings, assumed.sample)
        if settings.without_images:
            some = [without_images(item) for item in some]
        lengths, measured = _lengths(some, encoder, assumed)
        words = (given, "given") if given is not None else (total, counted)
        return Amount(*words, lengths, f"{len(some)} comparisons, {measured}", is_assumed=encoder is None)
    rows, counted = (given, "given") if given is not None else _published(name, node)
    pictures = 0 if settings.without_images else _card(node, "pictures", 0)
    prompt = assumed.prompt + pictures * assumed.image
    images = (assumed.image,) * pictures if assumed.image else ()
    lengths = [Lengths(prompt, (assumed.response,) * _card(node, "responses", 2), images)]
    return Amount(rows, counted, lengths, "assumed", is_assumed=True)


def _stored(source: Source) -> Stored | None:
    """The prepared rows of a source, where there are complete ones."""
    if not may_be_prepared(source.name, source.root):
        return None
    folder = folder_of(source.facts(), source.root)
    return Stored(folder, source.name) if read_manifest(folder) is not None else None


def _some(source: Source, stored: Stored | None, settings: DataSettings, sample: int) -> tuple[list[Comparison], int, str]:
    """Comparisons of a source that is here, how many it has, and how that is known."""
    if stored is not None:
        picked = np.unique(np.linspace(0, len(stored) - 1, min(sample, len(stored))).astype(int))
        return [stored[int(i)] for i in picked], len(stored), "prepared"
    stream = source_stream(source.recipe, settings, progress=False)
    drawn = _num_drawn(source.recipe)
    if drawn is not None:
        return list(itertools.islice(stream, sample)), drawn, "drawn"
    every = list(stream)
    step = max(1, len(every) // sample)
    return every[::step][:sample], len(every), "read"


def _lengths(some: Sequence[Comparison], encoder: Encoder | None, assumed: Assumed) -> tuple[list[Lengths], str]:
    if encoder is not None:
        sees = encoder.patch_settings is not None
        sizes = [[image_size(ref) for ref in item.images] if sees else [] for item in some]
        some = some if sees else [without_images(item) for item in some]
        return list(encoder.lengths(some, sizes)), "counted with the backbone's tokenizer"
    return [_by_characters(item, assumed.image) for item in some], f"{CHARACTERS} characters a token, pictures at their limit"


def _by_characters(item: Comparison, image: int) -> Lengths:
    text = sum(len(part.get("text", "")) for turn in item.messages for part in turn["content"])
    images = (image,) * len(item.images) if image else ()
    return Lengths(
        text // CHARACTERS + TEMPLATE + sum(images), tuple(max(1, len(r) // CHARACTERS) for r in item.responses), images
    )


def _published(name: str, node: Mapping[str, Any]) -> tuple[int, str]:
    """Rows by the recipe's card, or pairs by the paper.

    Raises:
        ConfigError: neither knows.
    """
    if (rows := rows_by_card(node)) is not None:
        return rows, "by its card"
    if (pairs := _card(node, "pairs_in_paper", None)) is not None:
        return pairs, "by the paper"
    raise ConfigError(
        f"data.sources.{name}: expected rows on this machine, or a card that counts them; found neither; add +rows.{name}=... "
        "with its comparisons"
    )


def _card(node: Mapping[str, Any], key: str, default: Any) -> Any:
    value = (node.get("card") or {}).get(key)
    return default if value is None else value


def _without_long(amount: Amount, max_length: int | None) -> tuple[Amount, float]:
    """The source without comparisons that a run drops, and their share in what was looked at.

    Raises:
        DataError: none would be left.
    """
    kept = [item for item in amount.lengths if max_length is None or item.longest <= max_length]
    if not kept:
        raise DataError(
            f"batch.max_length: expected comparisons of at most {max_length} tokens; found none among {len(amount.lengths)} that were "
            "looked at; raise it, or lower backbone.max_pixels"
        )
    return replace(amount, lengths=kept), 1 - len(kept) / len(amount.lengths)


def _validation(settings: DataSettings, total: int) -> int:
    """Comparisons to validate on: as many as the split sets apart, or those of ``data.val``."""
    if settings.val is None:
        wanted = max(1, round(settings.val_fraction * total)) if settings.val_fraction else 0
        return max(0, min(wanted, settings.val_max, total - 1))  # one stays to train on
    node = val_node(settings)
    if isinstance(node, Mapping) and (drawn := node.get("n")) is not None:
        return int(drawn)
    return settings.val_max
