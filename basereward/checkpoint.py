"""Save and load reward models: one folder with weights, head, tokenizer, image limits, and a probe that is re-scored on load."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoConfig

from basereward.backbone import check_family, fetch
from basereward.encode import Encoder
from basereward.errors import CheckpointError
from basereward.images import load_image
from basereward.model import RewardModel
from basereward.packing import collate
from basereward.records import Comparison
from basereward.runtime import write_json, written_aside

PROBE = "probe.json"
FINAL = "final"
PROBE_SIDE = 224
# Largest |difference| between a probe's rewards as saved and as re-scored, relative to the larger of 1 and the reward.
# float32: other thread counts and instruction sets move a reward by some 1e-6; bfloat16 rounds hidden states to 3 digits.
PROBE_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}

logger = logging.getLogger(__name__)


def save(model: RewardModel, encoder: Encoder, folder: Path, *, probe: Sequence[Comparison]) -> None:
    """Writes a complete checkpoint folder; it appears under its name only when all of it is there."""
    with written_aside(folder) as aside:
        write(model, encoder, aside, probe=probe)


def write(model: RewardModel, encoder: Encoder, folder: Path, *, probe: Sequence[Comparison]) -> None:
    """Writes weights, config, tokenizer, image limits and probe into an existing folder."""
    model.config.architectures = [type(model).__name__]
    model.save_pretrained(folder)
    encoder.save(folder)
    small = [_with_thumbnails(comparison) for comparison in probe]
    rewards = [rewards_alone(model, encoder, comparison) for comparison in small]
    rows = [_probe_row(comparison, reward) for comparison, reward in zip(small, rewards)]
    write_json(folder / PROBE, {"dtype": str(model.model.dtype), "comparisons": rows})


def load(path: str | Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> tuple[RewardModel, Encoder]:
    """The model (in eval mode) and the encoder of a run, a checkpoint folder or a Hub id; its probe is scored again.

    Raises:
        CheckpointError: files are missing, weights are missing or foreign, or the probe's rewards differ.
    """
    folder = resolve(path)
    config = fetch(AutoConfig, folder)
    check_family(config)
    if not getattr(config, "reward_head", None):
        raise CheckpointError(
            f"{folder}: expected a reward model, found a plain {config.model_type} backbone (config.json has no reward_head). "
            "Train a reward model from it first: basereward train backbone.path=..."
        )
    model, info = RewardModel.from_pretrained(folder, config=config, dtype=dtype, output_loading_info=True)
    problems = {kind: sorted(map(str, info[kind])) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[kind]}
    if problems:
        listing = "; ".join(f"{kind.replace('_', ' ')}: {names[:4]} ({len(names)})" for kind, names in problems.items())
        raise CheckpointError(
            f"{folder}: the weights do not fit the model that config.json describes ({listing}). A head is never made up: "
            "use the folder as it was saved, or train a new head with backbone.path=..."
        )
    model, encoder = model.to(device).eval(), Encoder.from_folder(folder)
    check_probe(model, encoder, folder)
    return model, encoder


def resolve(path: str | Path) -> str | Path:
    """A run directory -> its ``final`` folder; a checkpoint folder or a Hub id as it is."""
    folder = Path(path)
    if (folder / FINAL / "config.json").is_file():
        return folder / FINAL
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder}: expected a finished run (with {FINAL}/) or a checkpoint folder (with config.json), found "
            f"{sorted(p.name for p in folder.iterdir())[:8]}. An unfinished run continues with run.resume=true."
        )
    if not folder.exists() and (folder.is_absolute() or str(path).count("/") != 1 or str(path).startswith(".")):
        raise CheckpointError(f"model {str(path)!r}: no such folder, and it is not the form of a Hub id (owner/name)")
    return folder if folder.exists() else str(path)


def check_probe(model: RewardModel, encoder: Encoder, folder: str | Path) -> None:
    """Scores the stored probe again.

    Raises:
        CheckpointError: a reward differs by more than the tolerance of the model's dtype, with both values.
    """
    file = Path(folder) / PROBE
    if not file.is_file():
        logger.warning("%s has no %s: that these weights give the rewards they were saved with is unchecked", folder, PROBE)
        return
    tolerance = PROBE_TOLERANCE[model.model.dtype]
    for row in json.loads(file.read_text(encoding="utf-8"))["comparisons"]:
        found = rewards_alone(model, encoder, _probe_comparison(row))
        expected = np.array(row["rewards"])
        error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        if not (error <= tolerance).all():
            raise CheckpointError(
                f"{file}: comparison {row['id']!r} had rewards {expected.tolist()} when the checkpoint was saved and has "
                f"{found.tolist()} now (tolerance {tolerance} for {model.model.dtype}). Weights, tokenizer, image limits or "
                "library versions changed; restore the folder, or compare environment.json of the run."
            )


@torch.no_grad()
def rewards_alone(model: RewardModel, encoder: Encoder, comparison: Comparison) -> np.ndarray:
    """(N,) rewards of one comparison in a pack of its own, in eval mode."""
    was_training = model.training
    model.eval()
    pack = collate([encoder.encode(comparison)], encoder.patch_settings).to(model.device)
    rewards = model(pack).cpu().numpy()
    model.train(was_training)
    return rewards


def pick_probe(comparisons: Sequence[Comparison], count: int = 3) -> list[Comparison]:
    """A few short comparisons, with and without images where both exist."""

    def size(comparison: Comparison) -> int:
        return sum(map(len, comparison.responses)) + sum(len(p.get("text", "")) for m in comparison.messages for p in m["content"])

    chosen = sorted(comparisons, key=lambda c: (size(c), c.id))
    with_images, text_only = [c for c in chosen if c.images], [c for c in chosen if not c.images]
    return (with_images[: count - 1] + text_only)[:count] or with_images[:count]


def _with_thumbnails(comparison: Comparison) -> Comparison:
    """The same comparison with its pictures as small PNG bytes, so that a probe stays small and needs no file."""
    return dataclasses.replace(comparison, images=tuple(_thumbnail(ref) for ref in comparison.images))


def _thumbnail(ref: object) -> bytes:
    picture = load_image(ref)
    picture.thumbnail((PROBE_SIDE, PROBE_SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _probe_row(comparison: Comparison, rewards: np.ndarray) -> dict:
    images = [base64.b64encode(image).decode("ascii") for image in comparison.images]
    return {"id": comparison.id, "messages": list(comparison.messages), "images": images,
            "responses": list(comparison.responses), "rewards": [float(r) for r in rewards]}  # fmt: skip


def _probe_comparison(row: dict) -> Comparison:
    images = tuple(base64.b64decode(image) for image in row["images"])
    return Comparison(tuple(row["messages"]), images, tuple(row["responses"]), (), id=row["id"])
