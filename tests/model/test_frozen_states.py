"""Pooled states that are kept on disk: the same rewards, in any mix of known and new comparisons, and never those of another backbone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from frozen_models import Calls, decoder, reward_model, together

from basereward import keeping
from basereward.encode import Encoder
from basereward.errors import ConfigError
from basereward.frozen.files import entries, kept_files
from basereward.parts import part_of
from basereward.settings import LoraSettings, PartsSettings

POOLINGS = {name: {"_target_": f"basereward.pooling.{target}"} for name, target in
            (("last", "last.LastToken"), ("mean", "mean.MeanOfResponse"))}  # fmt: skip
ATTENTION = {"_target_": "basereward.pooling.attention.AttentionOverResponse"}


@pytest.fixture(autouse=True)
def new_process():
    """Each test has its own view of what a process knows of the files."""
    kept_files.cache_clear()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("length_norm", [False, True])
def test_rewards_of_known_states(length_norm, pooling, encoder, tiny_folder, cases, tmp_path):
    model = reward_model(tiny_folder, pooling=POOLINGS[pooling], length_norm=length_norm)
    expected = model(together(encoder, cases))
    kept, calls = keeping.keep_states(model, encoder, root=tmp_path), Calls(decoder(model))
    assert torch.equal(model(together(kept, cases)), expected) and calls.count == 1
    pack = together(kept, cases)
    assert pack.num_tokens == 0 and pack.patches is None
    assert torch.equal(model(pack), expected) and calls.count == 1


def test_another_head_finds_them(encoder, tiny_folder, cases, tmp_path):
    first, second = reward_model(tiny_folder), reward_model(tiny_folder, seed=8)
    first(together(keeping.keep_states(first, encoder, root=tmp_path), cases))
    kept_files.cache_clear()
    kept, calls = keeping.keep_states(second, Encoder.from_folder(tiny_folder), root=tmp_path), Calls(decoder(second))
    assert torch.equal(second(together(kept, cases)), second(together(encoder, cases))) and calls.count == 1


def test_a_pack_where_some_are_known(encoder, tiny_folder, cases, tmp_path):
    """Rewards and the head's gradients are in the order of the comparisons."""
    model = reward_model(tiny_folder, length_norm=True)
    kept = keeping.keep_states(model, encoder, root=tmp_path)
    model(together(kept, cases[1::2]))
    gradients = []
    for one in (encoder, kept):
        pack = together(one, cases)
        model.zero_grad()
        rewards = model(pack)
        (rewards * torch.arange(len(rewards))).sum().backward()
        gradients.append((rewards.detach(), *(parameter.grad.clone() for parameter in model.score.parameters())))
    assert True in pack.states.is_known and False in pack.states.is_known
    for plain, cached in zip(*gradients):
        torch.testing.assert_close(cached, plain, rtol=1e-5, atol=1e-6)


def test_a_changed_response_or_picture_is_another_comparison(encoder, tiny_folder, cases, tmp_path):
    model = reward_model(tiny_folder)
    kept = keeping.keep_states(model, encoder, root=tmp_path)
    model(together(kept, cases[:1]))
    reworded = dataclasses.replace(cases[0], responses=("A ring!", *cases[0].responses[1:]))
    swapped = dataclasses.replace(cases[0], responses=cases[0].responses[::-1])
    others = [reworded, swapped]
    if cases[0].images:
        others.append(dataclasses.replace(cases[0], images=(cases[0].images[0].rotate(90),)))
    pack = together(kept, [*others, cases[0]])
    assert pack.states.is_known == (False,) * len(others) + (True,)
    torch.testing.assert_close(model(pack), model(together(encoder, [*others, cases[0]])), rtol=0, atol=1e-6)


@pytest.mark.parametrize("change", ["language_model", "vision", "pooling", "compute"])
def test_what_states_depend_on_is_in_their_place(change, encoder, tiny_folder, cases, tmp_path):
    if change == "vision" and encoder.patch_settings is None:
        pytest.skip("this family reads text only")
    model, options = reward_model(tiny_folder), {}
    before = keeping.keep_states(model, encoder, root=tmp_path).states.identity
    if change == "pooling":
        model = reward_model(tiny_folder, pooling=POOLINGS["mean"])
    elif change == "compute":
        options["autocast"] = torch.bfloat16
    else:
        next(p for n, p in model.named_parameters() if part_of(n) == change and p.ndim > 1).data[0, 0] += 0.5
    assert keeping.keep_states(model, encoder, root=tmp_path, **options).states.identity != before


def test_a_file_of_another_shape_is_computed_again(encoder, tiny_folder, cases, tmp_path):
    model = reward_model(tiny_folder)
    kept, calls = keeping.keep_states(model, encoder, root=tmp_path), Calls(decoder(model))
    expected = model(together(kept, cases[:1]))
    file = Path(entries(tmp_path)[0].path)
    kept.states.files.write(kept.states.identity, file.stem, {"states": torch.zeros(1, 3)})
    assert torch.equal(model(together(kept, cases[:1])), expected) and calls.count == 2
    file.write_bytes(file.read_bytes()[:-8])
    assert torch.equal(model(together(kept, cases[:1])), expected) and calls.count == 3


@pytest.mark.parametrize(
    "parts", [PartsSettings(train=["language_model"]), PartsSettings(train=[], lora=LoraSettings(["*q_proj"], 4))]
)
def test_a_trained_backbone_is_refused(parts, encoder, tiny_folder, tmp_path):
    with pytest.raises(ConfigError, match="cache.hidden: expected a backbone of which nothing is trained, found model"):
        keeping.keep_states(reward_model(tiny_folder, parts), encoder, root=tmp_path)


def test_a_pooling_with_weights_is_refused(encoder, tiny_folder, tmp_path):
    with pytest.raises(ConfigError, match="expected a pooling without weights, found AttentionOverResponse with pooling.query"):
        keeping.keep_states(reward_model(tiny_folder, pooling=ATTENTION), encoder, root=tmp_path)


def test_dropout_is_refused(encoder, tiny_folder, tmp_path):
    model = reward_model(tiny_folder)
    model.config.get_text_config().attention_dropout = 0.1
    with pytest.raises(ConfigError, match="without dropout, found attention_dropout=0.1"):
        keeping.keep_states(model, encoder, root=tmp_path)
