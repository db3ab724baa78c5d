"""What a run costs, against sums worked out by hand, the paper's published sizes, and what a real run counts and takes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from basereward import train
from basereward.adapters import choose_parts
from basereward.backbone import load_backbone, use_tree_attention
from basereward.budget import TakenMemory
from basereward.compose import compose
from basereward.costs.account import Assumptions, Estimator, Wanted
from basereward.costs.amounts import Assumed, amounts_of
from basereward.costs.device_memory import activations
from basereward.costs.hardware import read_hardware
from basereward.costs.work import Kept
from basereward.demo import build_tiny_backbone
from basereward.encode import Encoder
from basereward.errors import ConfigError, DataError
from basereward.flops import Sizes, flops
from basereward.model import RewardModel
from basereward.packing import collate
from basereward.parts import passes_of, recompute_activations
from basereward.records import parse_row
from basereward.settings import TrainSettings
from basereward.speed import work_of

H100 = {"name": "H100", "bfloat16_tflops": 1000, "float32_tflops": 100, "memory_gib": 80, "mfu": None}


def settings_of(*words: str) -> TrainSettings:
    return compose("train", [*words, "run.dir=runs/plan"], TrainSettings)


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    """One for all tests: a model of 7B without weights takes a second to make."""
    return Estimator(read_hardware(H100), Assumptions(0.5, 50, 150, 1280, {"others_swe_arena": 4730}, 64, 0))


def cost(estimator: Estimator, *words: str, kept: Kept | None = None):
    estimator.kept = kept or Kept()
    return estimator.cost(Wanted("run", "run", settings_of(*words), overrides=words))


LAYERS = 4  # of the 36, so that the model is made at once
TEXT = ("experiment=text_rm_qwen3_8b", "~data.sources.others_swe_arena", f"backbone.shape.num_hidden_layers={LAYERS}")
# By hand, of the published sizes: weights of a layer are queries and output (2 x 4096 x 4096), keys and values (2 x 4096 x 1024), and the
# gated network (3 x 4096 x 12288).
QWEN3_8B = LAYERS * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 12288)


def test_text_costs_six_operations_for_each_weight_and_token(estimator):
    """50 tokens of prompt and two responses of 150: 350 tokens, and 6 N for each; attention is 12 x layers x width for each pair."""
    found = cost(estimator, *TEXT, "backbone.gradient_checkpointing=false")
    comparisons = found.work.comparisons
    pairs = 50 * 51 / 2 + 2 * (150 * 50 + 150 * 151 / 2)
    by_hand = comparisons * (6 * QWEN3_8B * 350 + 12 * LAYERS * 4096 * pairs)
    assert found.work.needed == pytest.approx(by_hand, rel=1e-12) and found.work.computed == found.work.needed
    assert found.work.tokens == 350 * comparisons and found.work.image_tokens == 0
    # Attention is a hundredth: so the rule of thumb holds to that.
    assert found.work.needed == pytest.approx(6 * QWEN3_8B * found.work.tokens, rel=0.02)


def test_an_epoch_takes_what_the_cards_count_without_the_validation_rows(estimator):
    """OLMo-2 378,341, Tulu-3 65,551, Ultra-Hard 63,967, Others 56,034; 1,000 are set apart, and steps have 128."""
    found = cost(estimator, *TEXT)
    assert found.data.validation == 1000
    assert found.work.comparisons == sum(found.data.epoch.values()) == pytest.approx(378341 + 65551 + 63967 + 56034 - 1000, abs=2)
    assert found.work.steps == -(-found.work.comparisons // 128)


def test_pictures_of_the_7b_by_hand(estimator):
    """1,280 tokens of a picture are 5,120 patches. A layer of the tower has 4 x 1280 x 1280 (attention) and 3 x 1280 x 3420 weights; the
    first cuts patches of 2 x 14 x 14 x 3 numbers; the merger makes 3584 of 4 x 1280 in two layers."""
    language = 28 * (2 * 3584**2 + 2 * 3584 * 512 + 3 * 3584 * 18944)
    tower = 32 * (4 * 1280**2 + 3 * 1280 * 3420) + 1280 * 2 * 14 * 14 * 3
    merger = 5120 * 5120 + 5120 * 3584
    found = cost(estimator, "experiment=basereward_7b", "data=rlaif_v", "backbone.gradient_checkpointing=false")
    products = 6 * (language * (1280 + 350) + tower * 5120 + merger * 1280)
    prefix = 1280 + 50
    pairs = prefix * (prefix + 1) / 2 + 2 * (150 * prefix + 150 * 151 / 2)
    seen = 4 * 5120**2 + 28 * 5120 * 64  # four layers see the whole picture, the others windows of 8 x 8 patches
    attention = 12 * (28 * 3584 * pairs + 1280 * seen)
    assert found.work.needed / found.work.comparisons == pytest.approx(products + attention, rel=1e-3)


def test_checkpointing_frozen_parts_and_adapters_change_the_passes(estimator):
    """Trained: 3 forwards' worth, 4 with checkpointing. Adapters: 2 and 3, as gradients of the base's weights are not made."""
    plain = cost(estimator, *TEXT, "backbone.gradient_checkpointing=false").work
    again = cost(estimator, *TEXT, "backbone.gradient_checkpointing=true").work
    half = cost(estimator, *TEXT, "backbone.gradient_checkpointing=2").work
    assert again.needed == plain.needed and again.computed == pytest.approx(4 / 3 * plain.needed)
    assert half.computed == pytest.approx(3.5 / 3 * plain.needed)
    lora = cost(estimator, *TEXT, "parts=lora", "backbone.gradient_checkpointing=false").work
    head = cost(estimator, *TEXT, "parts=head_only").work
    assert lora.needed == pytest.approx(2 / 3 * plain.needed, rel=0.02)  # attention has no weights: three either way
    assert head.computed == pytest.approx(plain.needed / 3)


def test_a_row_for_each_response_repeats_the_prompt(estimator):
    """Two rows of 50 + 150 tokens for one piece of 350: 400 / 350, and with a picture (2 x 1,480) / 1,630 and the tower twice."""
    text = cost(estimator, *TEXT).work
    assert text.by_rows / text.needed == pytest.approx(400 / 350, rel=0.01)
    picture = cost(estimator, "experiment=basereward_7b", "data=rlaif_v").work
    assert 2 * 1480 / 1630 < picture.by_rows / picture.needed < 2


def test_validation_is_a_forward_at_each_look(estimator):
    found = cost(estimator, *TEXT, "run.max_steps=2500", "run.eval_every=1000").work
    forward = found.needed / found.comparisons / 3
    assert found.validation == pytest.approx(3 * 1000 * forward)  # at 1,000, 2,000 and the end
    assert found.comparisons == pytest.approx(2500 * 128, rel=1e-3)


def test_hours_are_operations_over_the_share_of_the_peak(estimator):
    found = cost(estimator, *TEXT)
    assert found.hours == pytest.approx(found.work.total / (1000e12 * 0.5) / 3600)
    slow = cost(estimator, *TEXT, "optim=adamw")  # float32
    assert slow.hours == pytest.approx(10 * found.hours)


def test_what_a_frozen_model_keeps_is_computed_once(estimator):
    """Two heads on kept states: the first pays a forward of every comparison, the second nothing; without keeping, all three epochs pay."""
    words = (*TEXT, "parts=head_only", "run.epochs=3")
    plain, kept = cost(estimator, *words).work, Kept()
    first = cost(estimator, *words, "cache.hidden=true", kept=kept).work
    second = cost(estimator, *words, "cache.hidden=true", "head=linear", kept=kept).work
    other = cost(estimator, *words, "cache.hidden=true", "pooling=mean", kept=kept).work
    assert first.computed == pytest.approx(plain.computed / 3, rel=1e-6) and (second.computed, second.validation) == (0, 0)
    assert other.computed == first.computed  # another pooling keeps other states


def test_kept_pictures_leave_the_language_model(estimator):
    words = ("experiment=basereward_7b", "data=rlaif_v", "parts=language_model", "backbone.gradient_checkpointing=false")
    plain, kept = cost(estimator, *words).work, Kept()
    first = cost(estimator, *words, "cache.vision=true", kept=kept).work
    second = cost(estimator, *words, "cache.vision=true", "optim.lr=1e-6", kept=kept).work
    tower = (2 * (32 * (4 * 1280**2 + 3 * 1280 * 3420) + 1280 * 1176) * 5120 + 4 * 1280 * (4 * 5120**2 + 28 * 5120 * 64)
             + 2 * (5120 * 5120 + 5120 * 3584) * 1280)  # fmt: skip
    assert first.computed == pytest.approx(plain.computed) and plain.computed - second.computed == pytest.approx(
        tower * plain.comparisons, rel=1e-3
    )


def test_the_plan_counts_what_the_meter_of_a_real_run_counts(small):
    """All packs of an epoch, by the layouts of their real pictures, beside the plan's mean over every row."""
    settings = small("real", "run.max_steps=null", "run.epochs=1", "data.sources.demo.n=60", "batch.size=8")
    trainer, _, _ = train.prepare(settings)
    sizes, passes = Sizes.of(trainer.model.config), passes_of(trainer.model)
    packs = [pack for step in trainer.get_train_dataloader() for pack in step.packs]
    counted = sum(flops(sizes, work_of(pack, sizes), passes) for pack in packs)
    cpu = read_hardware({"name": "cpu", "bfloat16_tflops": 1, "float32_tflops": 1, "memory_gib": 8, "mfu": None})
    found = Estimator(cpu, Assumptions(0.5, 50, 150, None, {}, 60, 0)).cost(Wanted("real", "real", settings))
    assert found.work.comparisons == sum(len(pack.ids) for pack in packs)
    assert found.work.tokens == pytest.approx(sum(pack.num_tokens for pack in packs))
    assert found.work.needed == pytest.approx(counted, rel=0.01)  # windows at the edge of a picture are taken as whole


PATCHES = (224 // 14) ** 2


def rows(num: int):
    noise = np.random.default_rng(0)
    image = Image.fromarray(noise.integers(0, 255, (224, 224, 3), dtype=np.uint8))
    row = {"prompt": "colour " * 80, "images": [image], "chosen": "red " * 80, "rejected": "blue " * 60}
    return [parse_row(row, where=f"rows:{number}") for number in range(num)]


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """Wide enough for layers to take most of the memory."""
    text = {
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
    }
    vision = {"depth": 4, "hidden_size": 128, "intermediate_size": 512, "num_heads": 4, "out_hidden_size": 256}
    return build_tiny_backbone(tmp_path_factory.mktemp("wide") / "backbone", text_config=text, vision_config=vision)


@pytest.mark.parametrize(("precision", "recomputed"), [("float32", True), ("bf16", False)])
def test_activations_are_as_estimated(wide, precision, recomputed):
    """Bytes that more comparisons with pictures take in a forward and backward, within 15%."""
    settings = settings_of(f"optim.precision={precision}", f"backbone.gradient_checkpointing={str(recomputed).lower()}")
    model = RewardModel.from_backbone(load_backbone(wide), settings.new_head, seed=0).train()
    choose_parts(model, settings.parts, settings.optim)
    if recomputed:
        recompute_activations(model)
    use_tree_attention(model.model, "sdpa")
    encoder = Encoder.from_folder(wide)
    peak(model, encoder, 1, precision)  # makes the gradients
    few, many = (peak(model, encoder, num, precision) for num in (4, 7))
    sizes = Sizes.of(model.config)
    kept = activations(settings, model.config, sizes, passes_of(model), float(recomputed))
    estimate = kept.of(many[0], 7 * PATCHES) - kept.of(few[0], 4 * PATCHES)
    assert estimate == pytest.approx(many[1] - few[1], rel=0.15)


def peak(model: RewardModel, encoder: Encoder, num: int, precision: str) -> tuple[int, int]:
    """(tokens, bytes) of a forward and backward."""
    pack = collate([encoder.encode(item) for item in rows(num)], encoder.patch_settings)
    cast = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
    with TakenMemory(torch.device("cpu")) as memory:
        with cast:
            reward_R = model(pack)
        reward_R.float().sum().backward()
    return pack.num_tokens, memory.peak


def test_memory_and_checkpoints_of_the_published_7b(estimator):
    """130 GiB before activations (docs/training.md); a checkpoint of 12 bytes a weight, 93.1 GB, and two of them stay beside 31 GB."""
    found = cost(estimator, "experiment=basereward_7b", "data=rlaif_v", "run.eval_every=100")
    assert found.memory.before / 2**30 == pytest.approx(130.1, abs=0.1) and found.memory.fits is False
    assert found.disk.checkpoint / 1e9 == pytest.approx(93.1, abs=0.1)
    assert found.disk.run / 1e9 == pytest.approx(2 * 93.1 + 31.0, abs=0.2) and found.disk.cache == 0
    lora = cost(estimator, "experiment=basereward_7b", "data=rlaif_v", "parts=lora", "cache.vision=true", "cache.max_gib=null")
    assert lora.memory.fits and lora.disk.checkpoint < 0.03 * found.disk.checkpoint
    assert lora.disk.cache == pytest.approx(7168 * 1280 * sum(lora.data.epoch.values()))  # docs/performance.md, bfloat16


ASSUMED = Assumed(50, 150, 1280, {}, 100)


def test_a_file_at_hand_is_counted_by_characters_where_there_is_no_tokenizer(tmp_path):
    """A prompt of 400 characters and 20 tokens of template, answers of 80 and 40; 20 rows of which one validates."""
    file = tmp_path / "pairs.jsonl"
    file.write_text((json.dumps({"prompt": "a" * 400, "chosen": "b" * 80, "rejected": "c" * 40}) + "\n") * 20)
    found = amounts_of({"path": str(file)}, encoder=None, assumed=ASSUMED, max_length=None)
    amount = found.amounts["custom"]
    assert (amount.rows, amount.counted, found.validation, found.epoch) == (20, "read", 1, {"custom": 19})
    assert (amount.lengths[0].prefix, amount.lengths[0].responses) == (120, (20, 10)) and amount.is_assumed
    with pytest.raises(DataError, match=r"batch\.max_length"):
        amounts_of({"path": str(file)}, encoder=None, assumed=ASSUMED, max_length=100)


def test_one_row_stays_to_train_on(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    found = amounts_of({"path": str(file)}, encoder=None, assumed=ASSUMED, max_length=None)
    assert (found.validation, found.epoch) == (0, {"custom": 1})


def test_long_rows_are_dropped_as_training_drops_them(tmp_path):
    file = tmp_path / "pairs.jsonl"
    short, long = (json.dumps({"prompt": "a" * size, "chosen": "yes", "rejected": "no"}) + "\n" for size in (40, 4000))
    file.write_text(short * 30 + long * 10)
    found = amounts_of({"path": str(file), "val_fraction": 0.0}, encoder=None, assumed=ASSUMED, max_length=200)
    assert found.epoch == {"custom": 30} and found.dropped == {"custom": 0.25}


def test_shares_of_a_mixture_and_given_rows(estimator):
    lite = cost(estimator, "experiment=basereward_7b", "data=basereward_mix_lite")
    assert sum(lite.data.epoch.values()) == 200_000 and lite.data.epoch["mmpr"] == 140252
    given = Estimator(estimator.hardware, Assumptions(0.5, 50, 150, 1280, {"rlaif_v": 5000}, 64, 0), known=dict(estimator.known))
    found = given.cost(Wanted("run", "run", settings_of("experiment=basereward_7b", "data=rlaif_v", "batch.max_length=4096")))
    assert (found.data.amounts["rlaif_v"].counted, sum(found.data.epoch.values())) == ("given", 4750)


def test_a_source_that_nobody_counted_is_refused(estimator):
    with pytest.raises(ConfigError, match=r"data\.sources\.wildvision: .*\+rows\.wildvision="):
        cost(estimator, "experiment=basereward_7b", "data=wildvision")


def test_a_figure_that_nobody_looked_up_is_refused():
    device = read_hardware(H100 | {"bfloat16_tflops": None})
    with pytest.raises(ConfigError, match=r"hardware\.bfloat16_tflops: .*nobody looked it up"):
        device.peak("bfloat16")
    with pytest.raises(ConfigError, match=r"hardware\.memory: no such key.*memory_gib"):
        read_hardware(H100 | {"memory": 80})
    with pytest.raises(ConfigError, match=r"hardware\.mfu: expected a share"):
        read_hardware(H100 | {"mfu": 40})
