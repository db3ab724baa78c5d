"""Every head on every pooling of every family: float32 rewards and gradients from bf16 backbones, order and company, save and load.

Packed rewards are those of padded rows pooled apart.
"""

from __future__ import annotations

import math
import random

import pytest
import torch
from part_nodes import HEADS, POOLINGS, node
from row_chains import rewards

from basereward import checkpoint
from basereward.backbone import load_backbone
from basereward.errors import ConfigError
from basereward.model import RewardModel
from basereward.prefix_keys import in_rows

TOLERANCE = 1e-5
COMBINATIONS = [(head, pooling) for head in HEADS for pooling in POOLINGS]


def make(folder, head: str, pooling: str, *, dtype=torch.float32, length_norm: bool = False) -> RewardModel:
    """A reward model whose pooling has left its starting point."""
    backbone = load_backbone(folder, dtype=dtype)
    model = RewardModel.from_backbone(
        backbone, node("head", head), pooling=node("pooling", pooling), length_norm=length_norm, seed=7
    )
    for parameter in model.pooling.parameters():
        parameter.data.normal_(generator=torch.Generator().manual_seed(1))
    return model


def own_parameters(model: RewardModel) -> dict[str, torch.nn.Parameter]:
    """Those of head and pooling."""
    return {name: p for name, p in model.named_parameters() if name.startswith(("score.", "pooling."))}


def everything(model: RewardModel) -> dict[str, torch.Tensor]:
    """All parameters and buffers, those that no checkpoint stores among them."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors agree in names, dtypes and every bit."""
    return one.keys() == other.keys() and all(one[n].dtype == other[n].dtype and torch.equal(one[n], other[n]) for n in one)


def attention(state_TD, pooling):
    weights = [math.exp(float(state @ pooling.query) / len(state) ** 0.5) for state in state_TD]
    return sum(weight * state for weight, state in zip(weights, state_TD)) / sum(weights)


REFERENCE = {
    "last": lambda state_TD, pooling: state_TD[-1],
    "mean": lambda state_TD, pooling: state_TD.sum(0) / len(state_TD),
    "attention": attention,
}
"""Each pooling written again, from its formula; a new one adds a line here, or is compared with itself on padded rows."""


@torch.no_grad()
@pytest.mark.parametrize("length_norm", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_packed_equals_padded(pooling, length_norm, tiny_folder, stock, pack, encoder, cases):
    """Stock transformers on one padded row per response; the response's own tokens, counted from the row's text, pooled alone.

    All comparisons in one row, and each in one row for each response, which go on from the keys of its prefix.
    """
    model = make(tiny_folder, "mlp", pooling, length_norm=length_norm)
    batch = stock.batch(cases)
    hidden = stock.model(**batch, use_cache=False).last_hidden_state
    lengths = [len(stock.tokenizer(text + "<|im_end|>")["input_ids"]) for case in cases for text in case.responses]
    expected = []
    for row, end, length in zip(hidden, batch["attention_mask"].sum(1), lengths):
        states = row[end - length : end]
        vector = REFERENCE[pooling](states, model.pooling) if pooling in REFERENCE else model.pooling(states, [(0, length)])[0]
        reward = model.score(vector[None])[0]
        expected.append(reward / math.log(length + 1) if length_norm else reward)
    assert len(set(lengths)) > 5 and min(lengths) == 1
    torch.testing.assert_close(model(pack(cases)), torch.stack(expected), rtol=0, atol=TOLERANCE)
    apart = torch.cat([rewards(model, encoder, in_rows(encoder.encode(case), token_budget=1)) for case in cases])
    torch.testing.assert_close(apart, torch.stack(expected), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("head", "pooling"), COMBINATIONS)
def test_a_bf16_backbone_gives_float32_rewards_and_gradients_to_every_parameter(head, pooling, tiny_folder, pack, cases):
    model = make(tiny_folder, head, pooling, dtype=torch.bfloat16)
    reward_R = model(pack(cases[:3]))
    assert reward_R.dtype == torch.float32 and reward_R.shape == (sum(len(case.responses) for case in cases[:3]),)
    assert {p.dtype for p in model.model.parameters()} == {torch.bfloat16}
    (reward_R * torch.randn(len(reward_R), generator=torch.Generator().manual_seed(2))).sum().backward()
    assert own_parameters(model)
    for name, parameter in own_parameters(model).items():
        assert parameter.dtype == parameter.grad.dtype == torch.float32, name
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


@torch.no_grad()
@pytest.mark.parametrize(("head", "pooling"), COMBINATIONS)
def test_order_and_company_do_not_change_a_reward(head, pooling, tiny_folder, pack, cases):
    model = make(tiny_folder, head, pooling, length_norm=True)
    cases = cases[:5]
    together = model(pack(cases)).split([len(case.responses) for case in cases])
    for case, reward in zip(cases, together):
        torch.testing.assert_close(model(pack([case])), reward, rtol=0, atol=TOLERANCE)
    order = random.Random(0).sample(range(len(cases)), len(cases))
    shuffled = model(pack([cases[i] for i in order])).split([len(cases[i].responses) for i in order])
    for i, reward in zip(order, shuffled):
        torch.testing.assert_close(reward, together[i], rtol=0, atol=TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize(("head", "pooling"), COMBINATIONS)
def test_what_was_saved_is_what_is_loaded(head, pooling, tiny_folder, pack, cases, encoder, tmp_path):
    """Weights and buffers bit for bit, in bfloat16 those of head and pooling; rewards to the last bits of a float32, because a
    product on a CPU sums in an order that depends on where in memory its weights begin.
    """
    model, packed = make(tiny_folder, head, pooling, length_norm=True).eval(), pack(cases[:2])
    checkpoint.save(model, encoder, tmp_path / "checkpoint", probe=cases[:1])
    loaded, _ = checkpoint.load(tmp_path / "checkpoint")
    assert same(everything(model), everything(loaded))
    torch.testing.assert_close(loaded(packed), model(packed), rtol=0, atol=1e-6)
    rounded, _ = checkpoint.load(tmp_path / "checkpoint", dtype=torch.bfloat16)
    assert same(own_parameters(model), own_parameters(rounded))
    assert same(everything(rounded), everything(make(tiny_folder, head, pooling, dtype=torch.bfloat16)))
    assert rounded(packed).dtype == torch.float32


@torch.no_grad()
def test_poolings_give_different_rewards(tiny_folder, pack, cases):
    rewards = [make(tiny_folder, "mlp", pooling)(pack(cases[:3])) for pooling in POOLINGS]
    for i, one in enumerate(rewards):
        assert all((one - other).abs().min() > 1e-5 for other in rewards[:i])


@torch.no_grad()
def test_length_normalisation_hand_worked(tiny_folder, pack, cases, encoder):
    """A response of l tokens, the end token counted: r / log(l + 1)."""
    plain, normed = (make(tiny_folder, "linear", "last", length_norm=flag) for flag in (False, True))
    length_R = torch.tensor([n for case in cases for n in encoder.length(case).responses])
    packed = pack(cases)
    torch.testing.assert_close(normed(packed), plain(packed) / torch.log(length_R + 1.0), rtol=1e-6, atol=0)
    assert packed.labels.length_R.tolist() == length_R.tolist()


@torch.no_grad()
def test_attention_starts_as_the_mean(tiny_folder, pack, cases):
    backbone = load_backbone(tiny_folder)
    fresh = RewardModel.from_backbone(backbone, node("head", "mlp"), pooling=node("pooling", "attention"), seed=7)
    mean = make(tiny_folder, "mlp", "mean")
    torch.testing.assert_close(fresh(pack(cases)), mean(pack(cases)), rtol=0, atol=TOLERANCE)


def test_without_a_pooling_it_is_the_last_token(tiny_folder, pack, cases):
    """Checkpoints of the first version name none."""
    model = RewardModel.from_backbone(load_backbone(tiny_folder), node("head", "mlp"), seed=7)
    assert torch.equal(model(pack(cases)), make(tiny_folder, "mlp", "last")(pack(cases)))
    del model.config.reward_pooling, model.config.reward_length_norm
    assert type(RewardModel(model.config).pooling).__name__ == "LastToken"


@pytest.mark.parametrize("part", ["head", "pooling"])
def test_a_node_inside_a_part_is_not_called(part, tiny_folder, tmp_path):
    """A config.json may come from anywhere, and a nested _target_ would be called before anybody looks at it."""
    nodes = {"head": node("head", "mlp"), "pooling": node("pooling", "last")}
    nodes[part] |= {"width": [{"_target_": "pathlib.Path.touch", "self": str(tmp_path / "marker")}]}
    with pytest.raises(ConfigError, match="another _target_ inside"):
        RewardModel.from_backbone(load_backbone(tiny_folder), nodes["head"], pooling=nodes["pooling"], seed=0)
