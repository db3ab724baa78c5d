"""How much of each source an epoch takes, by hand-worked numbers; and its one order, whatever workers, ranks and interruptions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from accelerate import skip_first_batches
from torch.utils.data import DataLoader, Dataset

from basereward.batches import BatchSampler, Dealer
from basereward.errors import ConfigError, DataError
from basereward.shares import Mixture, MixtureOrder, Share, account, apportion, read_share, shares_table

SIZES = {"a": 100, "b": 30, "c": 7}


def quotas(temperature=None, total=None, **shares):
    given = {name: Share(**shares.get(name, {})) for name in SIZES}
    return tuple(Mixture(given, temperature, total).quotas(SIZES).values())


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (quotas(), (100, 30, 7)),
        (quotas(a={"count": 12}, b={"epochs": 1.5}, c={"count": 20}), (12, 45, 20)),
        (quotas(a={"cap": 40}, b={"cap": 40}, c={"epochs": 3, "cap": 5}), (40, 30, 15)),
        # c runs out first: 7 of it are a third of the weights, so the epoch has 21: 3.5 of a and 10.5 of b, rounded
        (quotas(a={"weight": 1}, b={"weight": 3}, c={"weight": 2, "cap": 99}), (4, 10, 7)),
        (quotas(a={"weight": 1}, b={"weight": 1}), (30, 30, 7)),
        (quotas(a={"weight": 3}, b={"weight": 1}, total=47), (30, 10, 7)),
        (quotas(a={"weight": 3}, b={"weight": 1}, total=407), (300, 100, 7)),
        # without weights a total scales the passes, and leaves counts as they are
        (quotas(total=137), (100, 30, 7)),
        (quotas(total=274), (200, 60, 14)),
        (quotas(total=75, a={"count": 1}, c={"epochs": 2}), (1, 50, 24)),
        # temperature 1 keeps the proportions, 2 takes square roots, a high one makes the sources equal
        (quotas(temperature=1.0), (100, 30, 7)),
        (quotas(temperature=1e9, total=30), (10, 10, 10)),
        (quotas(temperature=2.0, total=100, a={"cap": 36}, b={"cap": 16}, c={"cap": 4}), (50, 33, 17)),
        (quotas(temperature=1e9, c={"epochs": 1}), (30, 30, 7)),
    ],
)
def test_quotas(found, wanted):
    assert found == wanted


def test_the_worked_examples_of_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in page.partition("| a (100) |")[2].partition("\n\n")[0].splitlines()[2:]]
    assert len(rows) == 7
    for *given, result in rows:
        *shares, data = [yaml.safe_load("{" + cell.replace("`", "") + "}") for cell in given]
        found = quotas(data.get("temperature"), data.get("total"), **dict(zip(SIZES, shares)))
        assert result.split(":")[0].strip() == ", ".join(map(str, found))


def test_weights_take_the_largest_epoch_without_repeats():
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = {str(i): int(n) for i, n in enumerate(rng.integers(1, 500, rng.integers(1, 6)))}
        weights = {name: float(w) for name, w in zip(sizes, rng.uniform(0.01, 5, len(sizes)))}
        found = Mixture({name: Share(weight=w) for name, w in weights.items()}).quotas(sizes)
        assert all(found[name] <= sizes[name] for name in sizes)
        limit = min(sizes[name] * sum(weights.values()) / weights[name] for name in sizes)
        assert limit - len(sizes) < sum(found.values()) <= limit + 1e-6


@pytest.mark.parametrize("total", [0, 1, 10, 1001])
def test_apportioning_adds_up_and_is_within_one(total):
    weights = {"a": 0.2, "b": 1.7, "c": 1.1, "d": 1.1}
    found = apportion(total, weights)
    assert sum(found.values()) == total
    assert all(abs(found[name] - total * weight / 4.1) < 1 for name, weight in weights.items())


def test_what_cannot_be_reached_is_refused():
    with pytest.raises(ConfigError, match=r"data\.total: expected at least the counts of the sources, together 12; found 5"):
        quotas(total=5, a={"count": 6}, b={"count": 6}, c={"weight": 1})
    with pytest.raises(DataError, match=r"data\.sources\.d.*none"):
        Mixture({"d": Share(count=3)}).quotas({})
    with pytest.raises(ConfigError, match=r"data\.total: expected exactly the counts of the sources, together 3; found 4"):
        Mixture({"a": Share(count=3)}, total=4)
    with pytest.raises(ConfigError, match=r"data\.temperature.*found none"):
        Mixture({"a": Share(count=3)}, temperature=2.0)
    for bad in ({"count": 1.5}, {"weight": -1}, {"epochs": 0}, {"weight": True}, {"cap": "many"}, {"weight": float("inf")}):
        with pytest.raises(ConfigError, match=rf"s\.{next(iter(bad))}: expected a"):
            read_share(bad, "s")
    assert read_share({"weight": None, "epochs": 2, "path": "x"}, "s") == Share(epochs=2)


def order(seed=0, **shares):
    return MixtureOrder(SIZES, seed, Mixture({name: Share(**shares.get(name, {})) for name in SIZES}))


def test_one_pass_is_a_permutation_of_everything():
    assert sorted(order()(0)) == list(range(137))
    assert not np.array_equal(order()(0), order()(1)) and not np.array_equal(order()(0), order(seed=1)(0))
    assert np.array_equal(order()(3), order()(3))
    # the order of a run without any of the keys, which earlier runs had
    assert np.array_equal(order(seed=5)(2), np.random.default_rng([5, 2]).permutation(137))


def test_a_count_above_what_exists_repeats_whole_passes():
    for epoch in range(4):
        times = Counter(order(c={"count": 7 * 3 + 2})(epoch).tolist())
        assert sorted(times[130 + i] for i in range(7)) == [3] * 5 + [4] * 2
        assert all(times[i] == 1 for i in range(130))


def test_a_small_count_takes_others_in_the_next_epoch():
    parts = order(a={"count": 30})
    taken = [set(parts.picks(epoch)["a"].tolist()) for epoch in range(6)]
    assert all(len(part) == 30 and part <= set(range(100)) for part in taken)
    assert not taken[0] & taken[1] and not taken[1] & taken[2] and not taken[0] & taken[2]  # a cycle of three
    assert taken[3] != taken[0] and len(set().union(*taken)) > 90


def test_a_cap_takes_the_same_in_every_epoch():
    capped = order(a={"cap": 20}, b={"cap": 10, "epochs": 2.5})
    first, second = capped.picks(0), capped.picks(1)
    assert np.array_equal(first["a"], second["a"]) and len(set(first["a"].tolist())) == 20
    assert set(first["b"].tolist()) == set(second["b"].tolist()) and len(first["b"]) == 25
    assert np.array_equal(first["b"][:20], np.tile(np.unique(first["b"]), 2)) and first["b"].min() >= 100
    assert not np.array_equal(capped.picks(0)["a"], order(seed=1, a={"cap": 20}).picks(0)["a"])
    # a source's draw does not depend on the others
    assert np.array_equal(
        MixtureOrder({"z": 5, "a": 100}, 0, Mixture({"z": Share(), "a": Share(cap=20)})).picks(0)["a"] - 5, first["a"]
    )


class Numbers(Dataset):
    def __len__(self):
        return 137

    def __getitems__(self, plan):
        return plan


def batches(workers=0, rank=0, num_ranks=1, skip=0, epoch=1):
    lengths = np.full(137, 10)
    deal = Dealer(lengths, lengths, 30, rank=rank, num_ranks=num_ranks)
    sampler = BatchSampler(order(c={"count": 20}, a={"cap": 64}), 9, deal)
    sampler.set_epoch(epoch)
    loader = DataLoader(Numbers(), batch_sampler=sampler, collate_fn=list, num_workers=workers)
    steps = skip_first_batches(loader, skip) if skip else loader
    return [[index for pack in packs for index in pack] for packs in steps]


@pytest.mark.parametrize("workers", [2, 8])
def test_workers_do_not_change_the_order(workers):
    assert batches(workers) == batches() and sum(map(len, batches())) == 64 + 30 + 20


@pytest.mark.parametrize("num_ranks", [1, 2, 4])
def test_ranks_share_every_batch(num_ranks):
    shares = [batches(rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    for k, batch in enumerate(batches()):
        mine = [share[k] for share in shares]
        assert sorted(index for share in mine for index in share) == sorted(batch)
        assert max(map(len, mine)) - min(map(len, mine)) <= 1


@pytest.mark.parametrize(("workers", "rank", "num_ranks"), [(0, 0, 1), (2, 0, 1), (0, 1, 2), (2, 3, 4)])
def test_a_resume_in_the_middle_goes_on_with_the_next_batch(workers, rank, num_ranks):
    assert batches(workers, rank, num_ranks, skip=5) == batches(0, rank, num_ranks)[5:]


def test_the_account_adds_up():
    mixed = order(a={"count": 150}, c={"cap": 3})
    facts = {"pairs": np.arange(137) % 3, "tokens": np.arange(137) + 5, "images": np.ones(137, dtype=int)}
    numbers = account(mixed, {"a": 120, "b": 30, "c": 9}, facts)
    taken = mixed(0)
    for key, values in facts.items():
        assert sum(item[key] for item in numbers["sources"].values()) == values[taken].sum()
    assert numbers["sources"]["a"]["comparisons"] == 150 and numbers["sources"]["c"]["comparisons"] == 3
    lines = [" ".join(line.split()) for line in shares_table(numbers).splitlines()]
    assert lines[0] == "one epoch rows usable comparisons pairs tokens images"
    assert lines[-1].startswith("all 159 137 183 (100.0%) ") and lines[2].startswith("a 120 100 150 (82.0%) ")


def test_amounts_that_say_nothing_or_too_much_are_refused():
    with pytest.raises(DataError, match=r"data\.sources\.a\.epochs: expected to take at least one of 100 comparisons"):
        Mixture({"a": Share(epochs=0.001), "b": Share()}).quotas({"a": 100, "b": 10})
    with pytest.raises(DataError, match=r"data\.sources\.a: expected at most 1,000,000,000 comparisons an epoch"):
        Mixture({"a": Share(epochs=1e30), "b": Share()}).quotas({"a": 100, "b": 10})
