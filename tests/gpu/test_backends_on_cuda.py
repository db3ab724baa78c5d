"""Variable-length kernels, Liger and compiled layers on a CUDA device against float32 references. Needs the core libraries alone."""

from __future__ import annotations

import sys

import pytest
import torch
from PIL import Image
from twin_folders import CREATE, TEXT_ONLY

from basereward.attention.base import Use
from basereward.attention.choose import AUTO, BACKENDS, pick
from basereward.backbone import load_backbone, use_tree_attention
from basereward.encode import Encoder
from basereward.kernels import ROTARY, compile_layers, liger_absent, use_liger
from basereward.model import RewardModel
from basereward.optimizers.adamw import AdamW
from basereward.packing import Pack, collate
from basereward.records import parse_row
from basereward.tree import Piece, Tree

DEVICE = torch.device("cuda")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
# Of bfloat16 inputs against float32 arithmetic on the same inputs, relative to the norm; one rounding is 2^-9 = 0.002.
VALUES, GRADIENTS = 1e-2, 2e-2
# Whole models in bfloat16, as in test_on_cuda.py.
BF16_TOLERANCE = 5e-2
FLOAT32_TOLERANCE = 1e-4


@pytest.fixture(params=["varlen", "flash_attn"])
def backend(request):
    found = BACKENDS[request.param]
    if reason := found.refuses(Use(DEVICE, torch.bfloat16, head=64, dropout=False)):
        pytest.skip(f"{request.param} {reason}")
    return found


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found.float() - expected).norm() / expected.norm()).item()


def compare(found, expected, halves, wides) -> None:
    assert found.shape == expected.shape and relative(found, expected) <= VALUES
    upstream = torch.randn(expected.shape, device=DEVICE, generator=torch.Generator(DEVICE).manual_seed(1))
    ours = torch.autograd.grad(found, halves, upstream.to(found.dtype))
    for a, b in zip(ours, torch.autograd.grad(expected, wides, upstream)):
        assert relative(a, b) <= GRADIENTS


def tensors(heads: tuple[int, int, int], tokens: int, width: int):
    generator = torch.Generator(DEVICE).manual_seed(0)
    halves = [torch.randn(1, n, tokens, width, device=DEVICE, generator=generator).bfloat16().requires_grad_() for n in heads]
    return halves, [x.detach().float().requires_grad_() for x in halves]


@pytest.mark.parametrize(("heads", "width"), [((28, 4, 4), 128), ((16, 2, 2), 128), ((4, 4, 4), 64)])
def test_a_row_against_the_reference_in_float32(backend, heads, width):
    """Grouped queries of the 7B and the 3B; prefixes and responses of 1 to 700 tokens."""
    tree = Tree(
        (
            Piece(0, 300, (301, 420, 1120)),
            Piece(1120, 1121, (1190,)),
            Piece(1190, 1700, tuple(1700 + 40 * i for i in range(1, 9))),
        )
    )
    halves, wides = tensors(heads, 2020, width)
    found = backend.tree(*halves, tree=tree, scale=0.1, dropout=0.0)
    compare(found, BACKENDS["sdpa"].tree(*wides, tree=tree, scale=0.1, dropout=0.0), halves, wides)


@pytest.mark.parametrize("width", [64, 72, 80])
def test_windows_against_the_reference_in_float32(backend, width):
    """Head widths of the towers of Qwen3-VL (64, 72), Qwen2-VL and Qwen2.5-VL (80)."""
    lengths = [64] * 12 + [32, 16, 64, 8, 900]
    ends = torch.tensor([0, *lengths], device=DEVICE).cumsum(0).to(torch.int32)
    halves, wides = tensors((16, 16, 16), sum(lengths), width)
    options = {"ends": ends, "longest": max(lengths), "scale": None, "dropout": 0.0}
    compare(backend.windows(*halves, **options), BACKENDS["sdpa"].windows(*wides, **options), halves, wides)


def test_auto_takes_a_variable_length_kernel_in_bfloat16_and_the_reference_in_float32():
    query = torch.zeros(1, 4, 8, 64, device=DEVICE)
    assert pick(AUTO, query.bfloat16(), 0.0).name in ("varlen", "flash_attn")
    assert pick(AUTO, query, 0.0).name == "sdpa"
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert pick(AUTO, query, 0.0).name in ("varlen", "flash_attn")


@pytest.fixture(params=CREATE)
def family(request) -> str:
    return request.param


@pytest.fixture
def model(twin, family) -> RewardModel:
    return RewardModel.from_backbone(load_backbone(twin(family)), {"_target_": "basereward.heads.mlp.MLPHead"}, seed=0).to(DEVICE)


@pytest.fixture
def pack(twin, family) -> Pack:
    rows = [
        {"prompt": "What colour?", "images": [Image.new("RGB", (200, 120), "red")], "chosen": "Red.", "rejected": "Blue, I believe."},
        {"prompt": "Which?", "images": [Image.new("RGB", (90, 90), "blue"), Image.new("RGB", (120, 84), "green")],
         "responses": ["The second.", "The first of the two.", "Neither."], "ranks": [0, 1, 2]},
    ]  # fmt: skip
    if family in TEXT_ONLY:
        rows = [{key: value for key, value in row.items() if key != "images"} for row in rows]
    encoder = Encoder.from_folder(twin(family))
    items = [encoder.encode(parse_row(row, where=f"row {i}", default_id=str(i))) for i, row in enumerate(rows)]
    return collate(items, encoder.patch_settings).to(DEVICE)


def rewards_and_gradients(model, pack, *, autocast: bool) -> tuple[torch.Tensor, torch.Tensor]:
    model.zero_grad()
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=autocast):
        reward_R = model(pack)
    reward_R.square().sum().backward()
    return reward_R.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_a_model_under_autocast_against_float32(model, pack, backend):
    """Rewards near those of float32, and gradients no further from them than those of the reference backend are."""
    exact = rewards_and_gradients(model, pack, autocast=False)
    use_tree_attention(model.model, "sdpa")
    reference = rewards_and_gradients(model, pack, autocast=True)
    use_tree_attention(model.model, backend.name)
    found = rewards_and_gradients(model, pack, autocast=True)
    assert (found[0] - exact[0]).abs().max().item() <= BF16_TOLERANCE
    assert relative(found[1], exact[1]) <= 1.5 * relative(reference[1], exact[1]) + 1e-2


def test_ligers_kernels_give_the_same_rewards_and_gradients(model, pack, monkeypatch):
    if reason := liger_absent(DEVICE):
        pytest.skip(reason)
    source = sys.modules[type(getattr(model.model, "language_model", model.model)).__module__]
    monkeypatch.setattr(source, ROTARY, getattr(source, ROTARY))
    expected = rewards_and_gradients(model, pack, autocast=False)
    assert use_liger(model.model) > 0
    found = rewards_and_gradients(model, pack, autocast=False)
    assert (found[0] - expected[0]).abs().max().item() <= FLOAT32_TOLERANCE
    assert relative(found[1], expected[1]) <= 10 * FLOAT32_TOLERANCE


@pytest.mark.parametrize("family", ["tiny"], indirect=True)
def test_compiled_layers_give_the_same_rewards_and_gradients(model, pack):
    expected = rewards_and_gradients(model, pack, autocast=False)
    compile_layers(model.model)
    found = rewards_and_gradients(model, pack, autocast=False)
    assert (found[0] - expected[0]).abs().max().item() <= FLOAT32_TOLERANCE
    assert relative(found[1], expected[1]) <= 10 * FLOAT32_TOLERANCE


def test_adamw_is_fused():
    weight = torch.nn.Parameter(torch.ones(4, device=DEVICE))
    assert AdamW([{"params": [weight]}], lr=1e-3).param_groups[0]["fused"] is True
