"""A benchmark after a run -> floating-point operations: its published number of items, or its rows where they are here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from basereward.compose import compose
from basereward.costs.amounts import Assumed, amounts_of
from basereward.data_settings import CUSTOM
from basereward.encode import Encoder, Lengths
from basereward.errors import ConfigError
from basereward.flops import FORWARD, Sizes
from basereward.lengths import LengthTable
from basereward.named_recipes import recipe_names, recipe_node
from basereward.settings import EvaluateSettings

DEMO = "basereward.demo.DemoRecipe"
GROUP = "members"


def judging_operations(entry: EvaluateSettings, sizes: Sizes, encoder: Encoder | None, assumed: Assumed) -> float:
    """Of forwards over all items, and once more for each of ``blind`` and ``shuffled``.

    Raises:
        ConfigError: nobody knows how many items a benchmark has.
    """
    items = _items(entry.benchmark, encoder, assumed)
    total = sum(_forward(lengths, sizes) * num for lengths, num in items)
    seen = total * (1 + entry.shuffled)
    if entry.blind:
        seen += sum(_forward([_blind(item) for item in lengths], sizes) * num for lengths, num in items)
    return seen


def _items(node: Mapping[str, Any], encoder: Encoder | None, assumed: Assumed) -> list[tuple[list[Lengths], int]]:
    """(lengths of some, number of all) of each benchmark of a group."""
    if GROUP in node:
        return [found for name in node[GROUP] for found in _items(_node_of(name), encoder, assumed)]
    if (num := node.get("num_comparisons")) is not None:
        source = {"_target_": DEMO, "split": "test", "n": num, "seed": node.get("seed", 0)}
        return [_rows({"sources": {"demo": source}}, encoder, assumed)]
    if node.get("path") and "expected" not in node:
        return [_rows({"sources": {"items": _custom(node)}}, encoder, assumed)]
    return [_published(node, assumed)]


def _rows(data: dict[str, Any], encoder: Encoder | None, assumed: Assumed) -> tuple[list[Lengths], int]:
    found = amounts_of(data | {"val_fraction": 0.0}, encoder=encoder, assumed=assumed, max_length=None)
    amount = next(iter(found.amounts.values()))
    return list(amount.lengths), amount.rows


def _custom(node: Mapping[str, Any]) -> dict[str, Any]:
    return {"_target_": CUSTOM, "path": node["path"], "image_root": node.get("image_root")}


@cache
def _node_of(name: str) -> dict[str, Any]:
    """Of a member of a group, which is one of the toolkit's own."""
    return compose("evaluate", ["model=none", f"benchmark={name}"], EvaluateSettings).benchmark


def _published(node: Mapping[str, Any], assumed: Assumed) -> tuple[list[Lengths], int]:
    expected = node.get("expected") or {}
    num = expected.get("total") or sum(count or 0 for count in expected.values())
    name = str(node["_target_"]).split(".")[-2]
    if not num or name not in recipe_names():
        raise ConfigError(
            f"evaluate: expected a benchmark whose items are counted in its YAML, or whose rows are here; found {name}; leave it out, "
            "or give benchmark.path"
        )
    card = _card(name)
    images = (assumed.image,) * (card.get("pictures") or 0) if assumed.image else ()
    return [Lengths(assumed.prompt + sum(images), (assumed.response,) * (card.get("responses") or 2), images)], num


@cache
def _card(name: str) -> dict[str, Any]:
    return recipe_node({"recipe": name, "path": "none"}, "evaluate")["card"]


def _blind(item: Lengths) -> Lengths:
    return Lengths(max(1, item.prefix - sum(item.image_tokens)), item.responses)


def _forward(lengths: list[Lengths], sizes: Sizes) -> float:
    """Of one comparison, the mean."""
    return float(LengthTable.of(lengths).costs(sizes, FORWARD).mean())
