"""Real transcripts, image pairs, judged answers and photos, through the commands as a user types them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from basereward import checkpoint, cli, train
from basereward.compose import compose
from basereward.scorer import Scorer
from basereward.settings import TrainSettings

REAL = os.environ.get("BASEREWARD_REAL_DATA")
pytestmark = pytest.mark.skipif(not REAL, reason="BASEREWARD_REAL_DATA names no folder with the real rows")

FIFTY_STEPS = (
    "backbone=tiny", "batch.size=4", "optim.lr=1e-4", "run.max_steps=50", "run.eval_every=50", "run.log_every=10",
    "data.val_max=24", "run.tensorboard=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def real_mix(tmp_path_factory) -> Path:
    """50 steps on hh-rlhf transcripts, the two image pairs, and the untied judged answers."""
    run_dir = tmp_path_factory.mktemp("real") / "mix"
    settings = compose("train", [*FIFTY_STEPS, "data=real_mix", f"run.dir={run_dir}"], TrainSettings)
    assert train.run(settings) == 0
    return run_dir


def numbers(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_fifty_steps_on_the_real_mixture(real_mix):
    """2,312 transcripts (5 diverge early, 4 have an empty answer), 2 image pairs, 60 reviews of which 8 are ties."""
    manifest = json.loads((real_mix / "data_manifest.json").read_text())
    rows = {
        name: (source["rows_read"], source["used"], sum(source["dropped"].values()))
        for name, source in manifest["sources"].items()
    }
    assert rows == {"hh_rlhf": (2312, 2303, 9), "ixc": (2, 2, 0), "llava_bench": (60, 52, 8)}
    assert sorted(manifest["sources"]["hh_rlhf"]["dropped"].values()) == [4, 5]
    assert manifest["split"]["val"] == 24 and manifest["split"]["train"] == 2357 - 24
    losses = [row["loss"] for row in numbers(real_mix) if "loss" in row]
    assert len(losses) == 5 and all(math.isfinite(loss) and loss < 2 for loss in losses)


def test_a_ranking_file_of_another_tool_as_it_is(tmp_path):
    run_dir = tmp_path / "dpo"
    # 2,600 tokens a comparison with the tiny tokenizer, 12,000 at most: ten steps tell as much as fifty, in a fifth of the time.
    arguments = [
        *FIFTY_STEPS,
        "run.max_steps=10",
        "run.eval_every=10",
        "batch.size=2",
        "data.val_max=8",
        "batch.max_length=null",
        "data=custom",
        f"data.path={REAL}/llamafactory/dpo_en_demo.json",
        f"run.dir={run_dir}",
    ]
    assert cli.main(["train", *arguments]) == 0
    source = json.loads((run_dir / "data_manifest.json").read_text())["sources"]["custom"]
    assert (source["rows_read"], source["used"]) == (300, 300)
    assert all(math.isfinite(row["loss"]) for row in numbers(run_dir) if "loss" in row)


def test_a_photo_at_full_resolution(real_mix):
    """864 x 1296 pixels -> 62 x 92 patches (multiples of 28 nearest to the sides) -> 1,426 image tokens, none cut."""
    model, encoder = checkpoint.load(real_mix)
    photo = f"{REAL}/ixc_reward_pair/example.png"
    grid = encoder.patch_settings.grid(864, 1296)
    assert grid == (1, 92, 62) and encoder.patch_settings.num_tokens(grid) == 1426
    scorer = Scorer(model, encoder)
    good, bad = "```json\n{}\n```", "Please upload the image."
    rewards = scorer.score("Parse receipt to JSON.", [good, bad], images=[photo])
    blind = scorer.score("Parse receipt to JSON.", [good, bad])
    assert all(map(math.isfinite, rewards)) and rewards != blind


def test_the_mixture_can_be_judged_and_scored(real_mix, tmp_path):
    pairs = f"{REAL}/ixc_reward_pair/cars_pair_from_readme.json"
    assert cli.main(["evaluate", f"model={real_mix}", "benchmark=custom", f"benchmark.path={pairs}", "blind=true"]) == 0
    results = json.loads((real_mix / "eval/cars_pair_from_readme/results.json").read_text())
    assert results["n"] == results["num_comparisons"] == 1 and results["correct"] + results["ties"] + results["wrong"] == 1
    assert cli.main(["score", f"model={real_mix}", f"input={pairs}", f"output={tmp_path / 'scores.jsonl'}"]) == 0
    row = json.loads((tmp_path / "scores.jsonl").read_text())
    sample = json.loads((real_mix / "eval/cars_pair_from_readme/samples.jsonl").read_text())
    assert row["rewards"] == pytest.approx(sample["rewards"], abs=1e-5)
