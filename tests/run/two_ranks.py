"""Trains with the overrides of the command line and leaves each rank's weights and what it saw; started by torchrun or alone.

torchrun --nproc-per-node 2 two_ranks.py OUT float64|float32 override ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import save_file

from basereward import ranks, train
from basereward.compose import compose
from basereward.settings import TrainSettings


def main(out: Path, dtype: str, overrides: list[str]) -> None:
    """The weights after the last step, and the numbers of the comparisons of each step on this rank."""
    settings = compose("train", overrides, TrainSettings)
    ranks.start(settings.run.device)
    trainer, _, _ = train.prepare(settings)
    if dtype == "float64":
        trainer.model.model.double()
    plans, run_step = [], trainer.run_step

    def noted(step):
        plans.append(step.plan)
        return run_step(step)

    trainer.run_step = noted
    trainer.train()
    out.mkdir(exist_ok=True)
    save_file(dict(trainer.model.state_dict()), out / f"{ranks.number()}.safetensors")
    (out / f"{ranks.number()}.json").write_text(json.dumps(plans))
    ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
