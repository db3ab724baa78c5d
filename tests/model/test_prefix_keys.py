"""More responses than fit into a row: the rows that go on from a prefix's keys give the rewards of one sequence per response."""

from __future__ import annotations

import torch
from row_chains import rewards

from basereward.encode import Encoded
from basereward.packing import collate
from basereward.prefix_keys import PrefixKeys, in_rows

REWARD_TOLERANCE = 1e-5


def rows_of(encoder, comparison, token_budget: int) -> list[Encoded]:
    return in_rows(encoder.encode(comparison), token_budget)


def budgets(encoder, comparison) -> list[int]:
    """One row for each response; some responses in each; all but the last in the first."""
    lengths = encoder.length(comparison)
    return [1, min(lengths.prefix + lengths.responses[0] + 20, lengths.packed - 1), lengths.packed - 1]


@torch.no_grad()
def test_rewards_are_those_of_one_sequence_for_each_response(model, stock, encoder, case, record_property):
    expected, worst = stock.rewards([case]), 0.0
    for budget in budgets(encoder, case):
        rows = rows_of(encoder, case, budget)
        assert len(rows) > 1
        worst = max(worst, (rewards(model, encoder, rows) - expected).abs().max().item())
    record_property("worst", worst)
    assert worst <= REWARD_TOLERANCE


@torch.no_grad()
def test_the_prefix_and_its_pictures_are_computed_once(model, encoder, cases, monkeypatch):
    tokens, pictures = [], []
    language_model = getattr(model.model, "language_model", model.model)
    language_model.register_forward_pre_hook(
        lambda _, args, kwargs: tokens.append(kwargs["inputs_embeds"].shape[1]), with_kwargs=True
    )
    monkeypatch.setattr(type(encoder.family), "image_features", counted(encoder.family.image_features, pictures))
    for case in cases:
        tokens.clear(), pictures.clear()
        rewards(model, encoder, rows_of(encoder, case, 1))
        lengths = encoder.length(case)
        assert tokens == [lengths.prefix + lengths.responses[0], *lengths.responses[1:]]
        assert len(pictures) == bool(case.images)


def counted(function, calls: list):
    def call(self, *args):
        calls.append(args)
        return function(*args)

    return call


@torch.no_grad()
def test_kept_keys_hold_the_prefix_alone(model, encoder, cases):
    """Not a view of the row, whose memory would stay taken."""
    past, item = PrefixKeys(), encoder.encode(cases[0])
    model(collate(in_rows(item, 1)[:1], encoder.patch_settings), past)
    assert past.length == item.lengths.prefix
    for key, value in past.by_layer.values():
        assert key.untyped_storage().nbytes() == key.nbytes and value.untyped_storage().nbytes() == value.nbytes


def test_rows_by_hand(encoder, cases):
    """Responses in order, each row filled while the next one fits; nothing is lost but the preferences."""
    item = encoder.encode(next(c for c in cases if len(c.responses) == 8))
    prefix, lengths = item.lengths.prefix, item.lengths.responses
    assert in_rows(item, item.lengths.packed) == [item]
    first, second = in_rows(item, item.lengths.packed - 1)
    assert first.lengths.prefix == prefix and first.lengths.responses == lengths[:7] and second.lengths.responses == lengths[7:]
    assert second.lengths.prefix == 0 and not second.patches and not second.grids and not len(second.prefix_ids)
    assert second.next_position == item.next_position and not first.pairs and first.patches is item.patches
    rows = in_rows(item, max(lengths))
    assert [n for row in rows for n in row.lengths.responses] == list(lengths) and all(row.num_responses for row in rows)
    assert max(sum(row.lengths.responses) for row in rows[1:]) <= max(lengths)
