"""The model on a CUDA device against the same model on the CPU. Needs the core libraries alone: make gpu-check."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from basereward import checkpoint
from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.packing import collate
from basereward.records import parse_row
from basereward.scorer import Scorer, load

DEVICE = "cuda"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
# float32 with TF32 off, PyTorch's default for matrix products: sums in another order, measured on CPUs at some 1e-6.
REWARD_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-3
BF16_TOLERANCE = 5e-2


@pytest.fixture
def model(tiny_folder) -> RewardModel:
    return RewardModel.from_backbone(load_backbone(tiny_folder), {"_target_": "basereward.heads.mlp.MLPHead"}, seed=0)


@pytest.fixture
def encoder(tiny_folder) -> Encoder:
    return Encoder.from_folder(tiny_folder)


@pytest.fixture
def comparisons() -> list:
    def picture(colour, size):
        return Image.new("RGB", size, colour)

    rows = [
        {"prompt": "What colour?", "images": [picture("red", (90, 60))], "chosen": "Red.", "rejected": "Blue, I believe."},
        {"prompt": "Which is larger?", "images": [picture("blue", (56, 56)), picture("green", (120, 84))],
         "responses": ["The second.", "The first.", "Neither of them."], "ranks": [0, 1, 2]},
        {"prompt": "Name a prime number.", "chosen": "7", "rejected": "8, because it is even and larger than seven."},
    ]  # fmt: skip
    return [parse_row(row, where=f"row {i}", default_id=str(i)) for i, row in enumerate(rows)]


def gradients(model: RewardModel, pack) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(pack.to(model.device)).square().sum().backward()
    return {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}


def test_rewards_equal_those_of_the_cpu(model, encoder, comparisons):
    on_cpu = [r for reward_N in Scorer(model, encoder).score_comparisons(comparisons) for r in reward_N]
    on_gpu = [r for reward_N in Scorer(model.to(DEVICE), encoder).score_comparisons(comparisons) for r in reward_N]
    assert on_gpu == pytest.approx(on_cpu, abs=REWARD_TOLERANCE)


def test_gradients_equal_those_of_the_cpu(model, encoder, comparisons):
    pack = collate([encoder.encode(c) for c in comparisons], encoder.patch_settings)
    on_cpu = gradients(model, pack)
    on_gpu = gradients(model.to(DEVICE), pack)
    assert on_cpu.keys() == on_gpu.keys()
    for name, gradient in on_cpu.items():
        scale = max(gradient.norm().item(), 1e-6)
        assert (on_gpu[name] - gradient).norm().item() / scale <= GRADIENT_TOLERANCE, name


def test_a_pack_does_not_change_a_reward(model, encoder, comparisons):
    model.to(DEVICE)
    together = [r for reward_N in Scorer(model, encoder).score_comparisons(comparisons) for r in reward_N]
    alone = [r for reward_N in Scorer(model, encoder, token_budget=1).score_comparisons(comparisons) for r in reward_N]
    assert together == pytest.approx(alone, abs=REWARD_TOLERANCE)


def test_bfloat16_is_near_and_its_head_is_float32(model, encoder, comparisons, tmp_path):
    checkpoint.save(model, encoder, tmp_path / "saved", probe=comparisons)
    exact = list(Scorer(model, encoder).score_comparisons(comparisons))
    rm = load(tmp_path / "saved", dtype="bfloat16", device=DEVICE)
    assert all(p.dtype == torch.float32 for p in rm.model.score.parameters())
    for found, expected in zip(rm.score_comparisons(comparisons), exact, strict=True):
        assert found == pytest.approx(expected, abs=BF16_TOLERANCE)
