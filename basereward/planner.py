"""Which comparisons share a pack, and which rank computes it: as few packs as the budget allows, and the same cost on every rank.

The plan decides where and in which order a batch is computed, never what comes out: the loss is a mean over the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Plan = list[list[list[int]]]
"""Rank -> its packs -> the numbers of their comparisons, ascending."""
EVEN = 0.005
"""Costs of the ranks this close to their mean are left as they are."""
EXCHANGES = 64
"""Attempts to bring two ranks closer; a batch of 128 on 8 ranks takes some ten."""


def plan_packs(lengths: Sequence[int], token_budget: int, costs: Sequence[float] | None = None) -> list[list[int]]:
    """The packs of one rank; see ``plan``. Where no costs are given, a comparison costs its tokens.

    >>> plan_packs([30, 50, 40, 20], token_budget=70)
    [[0, 2], [1, 3]]
    """
    return plan(lengths, costs if costs is not None else lengths, token_budget)[0]


def plan(lengths: Sequence[int], costs: Sequence[float], token_budget: int, *, num_ranks: int = 1) -> Plan:
    """Deals comparisons into packs of at most ``token_budget`` tokens, the same number of packs on every rank.

    A comparison above the budget gets a pack of its own. There are as few packs as were found to suffice; where there are fewer
    comparisons than that, some ranks have a pack less, or none. The plan depends on nothing but its arguments.

    Args:
        lengths: tokens of each comparison. costs: of each, in any unit.
        num_ranks: processes that share the batch.
    """
    lengths, costs = np.asarray(lengths, np.int64), np.asarray(costs, np.float64)
    if not len(lengths):
        return [[] for _ in range(num_ranks)]
    alone = int((lengths > token_budget).sum())
    fewest = alone - int(-lengths[lengths <= token_budget].sum() // token_budget)
    num_packs = -(-fewest // num_ranks) * num_ranks
    while (packs := _fill(lengths, costs, token_budget, num_packs)) is None:
        num_packs += num_ranks
    _fill_empty(packs, costs)
    ranks = _share(packs, costs, num_packs // num_ranks, num_ranks)
    if num_ranks > 1:
        _even_out(ranks, lengths, costs, token_budget)
    return [sorted(sorted(pack) for pack in packs) for packs in ranks]


def _fill(lengths: np.ndarray, costs: np.ndarray, budget: int, num_packs: int) -> list[list[int]] | None:
    """Packs of about the same cost, or else packs that are as full as can be; ``None`` where neither fits."""
    by_cost = np.lexsort((-lengths, -costs)).tolist()
    by_length = np.argsort(-lengths, kind="stable").tolist()
    sizes, prices = lengths.tolist(), costs.tolist()
    return _cheapest_with_room(by_cost, sizes, prices, budget, num_packs) or _first_with_room(by_length, sizes, budget, num_packs)


def _cheapest_with_room(
    order: Sequence[int], sizes: Sequence[int], prices: Sequence[float], budget: int, num_packs: int
) -> list[list[int]] | None:
    packs: list[list[int]] = [[] for _ in range(num_packs)]
    used, spent = [0] * num_packs, [0.0] * num_packs
    for i in order:
        free = [k for k in range(num_packs) if used[k] + sizes[i] <= budget or not used[k]]
        if not free:
            return None
        k = min(free, key=spent.__getitem__)
        packs[k].append(i)
        used[k] += sizes[i]
        spent[k] += prices[i]
    return packs


def _first_with_room(order: Sequence[int], sizes: Sequence[int], budget: int, num_packs: int) -> list[list[int]] | None:
    packs: list[list[int]] = [[] for _ in range(num_packs)]
    used = [0] * num_packs
    for i in order:
        k = next((k for k in range(num_packs) if used[k] + sizes[i] <= budget or not used[k]), None)
        if k is None:
            return None
        packs[k].append(i)
        used[k] += sizes[i]
    return packs


def _fill_empty(packs: list[list[int]], costs: np.ndarray) -> None:
    """Every other comparison of the dearest pack into a pack that stayed empty, as long as there are two to part."""
    for empty in (pack for pack in packs if not pack):
        dearest = max((pack for pack in packs if len(pack) > 1), key=lambda pack: costs[pack].sum(), default=None)
        if dearest is not None:
            empty += dearest[1::2]
            del dearest[1::2]


def _share(packs: list[list[int]], costs: np.ndarray, each: int, num_ranks: int) -> Plan:
    """Gives every rank ``each`` packs, the dearest first to the rank that has least; empty packs are left out."""
    ranks: Plan = [[] for _ in range(num_ranks)]
    spent = [0.0] * num_ranks
    prices = [float(costs[pack].sum()) for pack in packs]
    for k in sorted(range(len(packs)), key=lambda k: -prices[k]):
        r = min((r for r in range(num_ranks) if len(ranks[r]) < each), key=spent.__getitem__)
        ranks[r].append(packs[k])
        spent[r] += prices[k]
    return [[pack for pack in own if pack] for own in ranks]


def _even_out(ranks: Plan, lengths: np.ndarray, costs: np.ndarray, budget: int) -> None:
    """Exchanges comparisons between the dearest and another rank while that brings the dearest down."""
    for _ in range(EXCHANGES):
        spent = [sum(float(costs[pack].sum()) for pack in packs) for packs in ranks]
        order, mean = np.argsort(spent, kind="stable"), sum(spent) / len(spent)
        if spent[order[-1]] <= mean * (1 + EVEN):
            return
        dear = int(order[-1])
        if not any(
            _exchange(ranks[dear], ranks[int(r)], spent[dear] - spent[int(r)], lengths, costs, budget) for r in order[:-1]
        ):
            return


def _exchange(
    dear: list[list[int]], cheap: list[list[int]], gap: float, lengths: np.ndarray, costs: np.ndarray, budget: int
) -> bool:
    """Makes the one exchange (or gift) that brings two ranks closest, within the budget; ``False`` where none brings them closer."""
    if not dear or not cheap:
        return False
    given, from_pack = _listed(dear)
    taken, to_pack = _listed(cheap)
    room_a = budget - np.array([lengths[pack].sum() for pack in dear])
    room_b = budget - np.array([lengths[pack].sum() for pack in cheap])
    # A gift is an exchange for nothing: one more row for each pack of the cheap rank.
    back_length = np.concatenate([lengths[taken], np.zeros(len(cheap), np.int64)])
    back_cost = np.concatenate([costs[taken], np.zeros(len(cheap))])
    to_pack = np.concatenate([to_pack, np.arange(len(cheap))])
    more_tokens = lengths[given][:, None] - back_length
    left = np.abs(gap - 2 * (costs[given][:, None] - back_cost))
    fits = (room_b[to_pack] >= more_tokens) & (room_a[from_pack][:, None] >= -more_tokens)
    # A pack must not become empty by a gift.
    fits[:, len(taken) :] &= (np.array([len(pack) for pack in dear]) > 1)[from_pack][:, None]
    left[~fits] = np.inf
    a, b = np.unravel_index(int(np.argmin(left)), left.shape)
    if not left[a, b] < abs(gap) * (1 - 1e-9):
        return False
    i = given[a]
    dear[from_pack[a]].remove(i)
    cheap[to_pack[b]].append(i)
    if b < len(taken):
        cheap[to_pack[b]].remove(taken[b])
        dear[from_pack[a]].append(taken[b])
    return True


def _listed(packs: list[list[int]]) -> tuple[list[int], np.ndarray]:
    """The members of all packs, and which pack each is in."""
    return [i for pack in packs for i in pack], np.repeat(np.arange(len(packs)), [len(pack) for pack in packs])
