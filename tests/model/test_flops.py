"""Operations counted from sizes and lengths, against what torch counts in a forward and backward, and by hand."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel

from basereward.backbones.find import find_family
from basereward.backbones.towers import Seen, Tower
from basereward.flops import Sizes, Work, causal_pairs, flops, training_passes, work

ALL = ("language_model", "merger", "vision")


@pytest.fixture
def backbone(tiny_folder):
    return AutoModel.from_pretrained(tiny_folder)


def counted(run) -> int:
    """What torch counts, attention as the two products that it is."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return counter.get_total_flops()


def text_pass(backbone, *, tokens: int, backward: bool):
    language_model = getattr(backbone, "language_model", backbone)
    embeds = torch.randn(1, tokens, backbone.config.get_text_config().hidden_size, requires_grad=True)
    hidden = language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    if backward:
        hidden.sum().backward()


@pytest.mark.parametrize(("backward", "trained"), [(False, ()), (True, ALL), (True, ("vision",))])
def test_the_language_model_makes_the_counted_products(backbone, backward, trained):
    """Stock attention computes all pairs of a row, also those that the mask hides; so they are given as seen here."""
    backbone.requires_grad_("language_model" in trained)
    sizes, tokens = Sizes.of(backbone.config), 21
    ours = flops(sizes, Work(tokens, tokens**2), training_passes(trained))
    theirs = counted(lambda: text_pass(backbone, tokens=tokens, backward=backward))
    rotary = theirs - ours  # positions times frequencies, once for the row: an outer product
    assert 0 <= rotary <= 2 * 3 * tokens * 64, (ours, theirs)


@pytest.mark.parametrize("backward", [False, True])
def test_the_vision_tower_makes_the_counted_products(backbone, backward):
    sizes = Sizes.of(backbone.config)
    if sizes.tower is None:
        pytest.skip("reads text only")
    grids = [(2, 4, 4), (1, 4, 4)] if sizes.tower.tile_tokens else [(1, 20, 12), (1, 8, 4)]
    if sizes.tower.tile_tokens:
        side = int(sizes.tower.tile_tokens**0.5)
        grids = [(tiles, side, side) for tiles, _, _ in grids]
    amount = Work(seen=sum((sizes.tower.see(grid) for grid in grids), Seen()))
    ours = flops(sizes, amount, training_passes(("vision", "merger") if backward else ()))
    theirs = counted(lambda: see(backbone, grids, backward=backward))
    # Rotary angles are left out on our side, and a class token has no patch to embed.
    assert ours == pytest.approx(theirs, rel=0.02)


def see(backbone, grids, *, backward: bool):
    vision = backbone.config.vision_config
    tower = Sizes.of(backbone.config).tower
    if tower.tile_tokens:
        side = vision.image_size[0]
        inputs = {"pixel_values": torch.randn(sum(g[0] for g in grids), 3, side, side, requires_grad=True)}
    else:
        rows = sum(h * w for _, h, w in grids)
        width = 3 * vision.patch_size**2 * vision.temporal_patch_size
        inputs = {"pixel_values": torch.randn(rows, width, requires_grad=True), "image_grid_thw": torch.tensor(grids)}
    features = find_family(backbone.config).read_features(backbone.get_image_features(**inputs, return_dict=True))
    if backward:
        (features.tokens.sum() + sum(deep.sum() for deep in features.deep)).backward()


def test_pairs_are_those_that_may_see_each_other():
    prefix, responses = 5, (1, 3, 2)
    owner = [0] * prefix + [k for k, n in enumerate(responses, 1) for _ in range(n)]
    allowed = sum(j <= i and owner[j] in (0, owner[i]) for i, j in itertools.product(range(len(owner)), repeat=2))
    assert causal_pairs(prefix, responses) == allowed


@pytest.mark.parametrize("grid", [(1, 8, 8), (1, 20, 12), (1, 2, 34)])
def test_windows_are_cut_from_the_first_corner(grid):
    tower, (_, rows, columns) = Tower(width=1, layers=0, merge=2, window_layers=1, window=8), grid
    window = [(i // 8, j // 8) for i in range(rows) for j in range(columns)]
    assert tower.see(grid).window_pairs == sum(a == b for a, b in itertools.product(window, repeat=2))


def test_pictures_of_known_tokens_are_those_of_known_layout():
    qwen = Tower(width=1, layers=1, merge=2, window_layers=1, window=8)
    exact = qwen.see((1, 32, 32)) + qwen.see((1, 40, 24))
    assert qwen.estimate(256 + 240, 256**2 + 240**2) == exact
    cut = qwen.see((1, 20, 12))
    assert qwen.estimate(60, 60**2) == dataclasses.replace(cut, window_pairs=60 * 4 * 64) and cut.window_pairs < 60 * 4 * 64
    internvl = Tower(width=1, layers=1, merge=2, per_side=2, tile_tokens=256, extra=1)
    assert internvl.estimate(8 * 256, 0) == internvl.see((7, 16, 16)) + internvl.see((1, 16, 16))


def test_by_hand():
    """10 weights for each of 9 tokens and 2 layers of width 4 for 39 pairs; 6 weights for each of 16 patches, 3 for each of 4 tokens,
    one layer of width 5 for 256 pairs."""
    tower = Tower(width=5, layers=1, merge=2)
    sizes = Sizes(language=10, layers=2, query_width=4, vision=6, merger=3, tower=tower)
    amount = work(4, [2, 3], [(1, 4, 4)], tower=tower)
    text, pairs, patches, tokens, picture = 2 * 10 * 9, 4 * 2 * 4 * 39, 2 * 6 * 16, 2 * 3 * 4, 4 * 5 * 256
    assert flops(sizes, amount) == text + pairs + patches + tokens + picture
    assert flops(sizes, amount, training_passes(ALL)) == 3 * (text + pairs + patches + tokens + picture)
    frozen = training_passes(("language_model", "merger"))
    assert flops(sizes, amount, frozen) == 3 * (text + pairs) + patches + 3 * tokens + picture
    head_alone = training_passes(())
    assert flops(sizes, amount, head_alone) == flops(sizes, amount)
    lora = training_passes((), adapted=("language_model",))
    assert flops(sizes, amount, lora) == 2 * text + 3 * pairs + patches + tokens + picture
    tower_alone = training_passes(("vision",), recomputed=0.5)
    assert flops(sizes, amount, tower_alone) == 2.5 * text + 3.5 * pairs + 3.5 * patches + 2 * tokens + 3.5 * picture


def test_the_sizes_of_a_published_config():
    """Qwen2.5-VL-7B: 28 layers of (q 3584x3584, k and v 3584x512, o 3584x3584, three of 3584x18944)."""
    shape = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
             "num_key_value_heads": 4, "vocab_size": 152064}  # fmt: skip
    config = AutoConfig.for_model("qwen2_5_vl", text_config=shape)
    sizes = Sizes.of(config)
    assert sizes.language == 28 * (2 * 3584 * 3584 + 2 * 3584 * 512 + 3 * 3584 * 18944)
    assert (sizes.layers, sizes.query_width, sizes.tower.layers, sizes.tower.window_layers) == (28, 3584, 4, 28)
