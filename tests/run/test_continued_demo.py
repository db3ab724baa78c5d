"""The trained demo goes on with a text rule: it learns the rule, and keeps what it knew when a tenth of the old data is mixed in.

Needs a finished demo, which takes minutes: `make demo`, then `BASEREWARD_DEMO_RUN=runs/demo pytest tests/run/test_continued_demo.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import text_rule

from basereward import evaluate, train
from basereward.compose import compose
from basereward.settings import EvaluateSettings, TrainSettings

DEMO = os.environ.get("BASEREWARD_DEMO_RUN")
# Of 20,000 rows of the demo.
TENTH = 2000
CONTINUED = (
    "batch.size=32",
    "optim.lr=1e-4",
    "optim.warmup=0.2",
    "run.max_steps=150",
    "run.eval_every=150",
    "run.tensorboard=false",
)

pytestmark = pytest.mark.skipif(not DEMO, reason="needs a trained demo: make demo, then BASEREWARD_DEMO_RUN=runs/demo")


def accuracy(model: Path | str, out: Path, *benchmark: str) -> tuple[float, int]:
    """(percent, pairs) of a benchmark."""
    evaluate.run(compose("evaluate", [f"model={model}", f"out={out}", *benchmark], EvaluateSettings))
    results = json.loads((out / "results.json").read_text())
    return results["accuracy"], results["n"]


@pytest.mark.parametrize("mixed", [True, False])
def test_the_rule_is_learned_and_the_old_task_kept(mixed: bool, tmp_path: Path, capsys: pytest.CaptureFixture):
    files = text_rule.write(tmp_path / "rule")
    rule = ("benchmark=custom", f"benchmark.path={files['held_out']}")
    sources = ["data=custom", f"data.path={files['train']}"]
    if mixed:
        sources = ["data=demo", f"data.sources.demo.n={TENTH}", "+recipe@data.sources.rule=custom"]
        sources.append(f"data.sources.rule.path={files['train']}")
    run_dir = tmp_path / "run"
    overrides = [*sources, f"data.val={files['val']}", f"init_from={DEMO}", f"run.dir={run_dir}", *CONTINUED]
    train.run(compose("train", overrides, TrainSettings))

    new, n_new = accuracy(run_dir, tmp_path / "new", *rule)
    old, n_old = accuracy(run_dir, tmp_path / "old", "benchmark=demo")
    before, _ = accuracy(DEMO, tmp_path / "before", "benchmark=demo")
    untrained, _ = accuracy(DEMO, tmp_path / "untrained", *rule)
    with capsys.disabled():
        print(f"\nold data {'mixed in' if mixed else 'left out'}: rule {untrained:.1%} -> {new:.1%} (n={n_new})", end=", ")
        print(f"demo {before:.1%} -> {old:.1%} (n={n_old})")
    assert n_new == 1000 and n_old >= 1000
    assert untrained < 0.75 and new >= 0.90
    if mixed:  # without the old data the loss is printed, and bounded by nothing
        assert old >= before - 0.02
