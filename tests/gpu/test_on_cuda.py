"""The model on a CUDA device against the same model on the CPU. Needs the core libraries alone: make gpu-check."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from twin_folders import CREATE, TEXT_ONLY

from basereward import checkpoint
from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.optimizers.adamw import AdamW
from basereward.optimizers.adamw_kahan import AdamWKahan
from basereward.packing import collate, on_device
from basereward.records import parse_row
from basereward.scorer import Scorer, load

DEVICE = "cuda"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
# float32 with TF32 off, PyTorch's default for matrix products: sums in another order, measured on CPUs at some 1e-6.
REWARD_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-3
BF16_TOLERANCE = 5e-2


@pytest.fixture(params=CREATE)
def family(request) -> str:
    """The name of a tiny member of each family."""
    return request.param


@pytest.fixture
def model(twin, family) -> RewardModel:
    return RewardModel.from_backbone(load_backbone(twin(family)), {"_target_": "basereward.heads.mlp.MLPHead"}, seed=0)


@pytest.fixture
def encoder(twin, family) -> Encoder:
    return Encoder.from_folder(twin(family))


@pytest.fixture
def comparisons(family) -> list:
    def picture(colour, size):
        return Image.new("RGB", size, colour)

    rows = [
        {"prompt": "What colour?", "images": [picture("red", (90, 60))], "chosen": "Red.", "rejected": "Blue, I believe."},
        {"prompt": "Which is larger?", "images": [picture("blue", (56, 56)), picture("green", (120, 84))],
         "responses": ["The second.", "The first.", "Neither of them."], "ranks": [0, 1, 2]},
        {"prompt": "Name a prime number.", "chosen": "7", "rejected": "8, because it is even and larger than seven."},
    ]  # fmt: skip
    if family in TEXT_ONLY:
        rows = [{key: value for key, value in row.items() if key != "images"} for row in rows]
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


def test_a_copy_beside_the_computation_is_whole(model, encoder, comparisons):
    """Copied by a stream of its own while the device is busy; memory of packs that are gone is taken again."""
    device, busy = torch.device(DEVICE, torch.cuda.current_device()), torch.ones(4096, 4096, device=DEVICE)
    packs = [collate([encoder.encode(c)], encoder.patch_settings).pin_memory() for c in comparisons] * 20
    model.to(device)
    with torch.no_grad():
        expected = [model(pack.to(device)).cpu() for pack in packs[: len(comparisons)]]
        for i, pack in enumerate(packs):
            busy = (busy @ busy).clamp_(-1, 1)
            torch.testing.assert_close(
                model(on_device(pack, device)).cpu(), expected[i % len(expected)], rtol=0, atol=REWARD_TOLERANCE
            )


def test_bfloat16_is_near_and_its_head_is_float32(model, encoder, comparisons, tmp_path):
    checkpoint.save(model, encoder, tmp_path / "saved", probe=comparisons)
    exact = list(Scorer(model, encoder).score_comparisons(comparisons))
    rm = load(tmp_path / "saved", dtype="bfloat16", device=DEVICE)
    assert all(p.dtype == torch.float32 for p in rm.model.score.parameters())
    for found, expected in zip(rm.score_comparisons(comparisons), exact, strict=True):
        assert found == pytest.approx(expected, abs=BF16_TOLERANCE)


@pytest.mark.parametrize("family", ["tiny"], indirect=True)
@pytest.mark.parametrize("algorithm", [AdamW, AdamWKahan])
def test_steps_of_the_optimizer_equal_those_of_the_cpu(model, encoder, comparisons, algorithm):
    """Fused on CUDA; one weight matrix with gradients that the CPU computed, so that only the steps differ."""
    pack = collate([encoder.encode(c) for c in comparisons], encoder.patch_settings)
    name, gradient = max(gradients(model, pack).items(), key=lambda item: item[1].numel())
    start = model.get_parameter(name).detach().to(algorithm.weight_dtype)
    ends = []
    for device in ("cpu", DEVICE):
        weight = torch.nn.Parameter(start.to(device, copy=True))
        optimizer = algorithm([{"params": [weight], "weight_decay": 0.01}], lr=1e-3)
        for step in range(5):
            weight.grad = (gradient * (1 - 0.1 * step)).to(device, weight.dtype)
            optimizer.step()
        ends.append(weight.detach().float().cpu())
    assert not torch.equal(ends[0], start.float())
    # Half a step of bfloat16 at the largest weight, where rounding may go the other way; float32 differs by its last digits.
    tolerance = 1e-6 if algorithm is AdamW else start.abs().max().item() * 2**-8
    assert (ends[1] - ends[0]).abs().max().item() <= tolerance
