"""Save and load reward models: one folder with weights, head, tokenizer, image limits, and a probe that is re-scored on load."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import PretrainedConfig

from basereward import adapter_folder, foreign
from basereward.adapters import has_lora
from basereward.backbone import check_family
from basereward.backbones.find import fetch, fetch_config
from basereward.encode import Encoder
from basereward.errors import CheckpointError
from basereward.images import load_image
from basereward.model import RewardModel
from basereward.packing import collate
from basereward.parts import part_of
from basereward.records import Comparison
from basereward.runtime import write_json, written_aside

PROBE = "probe.json"
FINAL = "final"
PROBE_SIDE = 224
# Largest |difference| between a probe's rewards as saved and as re-scored, relative to ``probe_scale`` of all its rewards.
# float32: other thread counts and instruction sets move a reward by some 1e-6 of it. The others leave room above the worst that was
# measured on three seeds of the trained demo (rewards from -20 to 20, 93 probes): 2.1e-2 in bfloat16, 1.9e-3 in float16. A reward
# near 0 is rounded as much as a large one, because the hidden states behind it are as large; hence one scale for the whole probe.
PROBE_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}

logger = logging.getLogger(__name__)


class ProbeMismatch(CheckpointError):
    """A probe's rewards differ from the stored ones.

    Args:
        difference: what differs. advice: the likely cause and what to do, where the dtype is not it.
    """

    def __init__(self, difference: str, advice: str):
        super().__init__(f"{difference} {advice}")
        self.difference = difference


def save(model: RewardModel, encoder: Encoder, folder: Path, *, probe: Sequence[Comparison]) -> None:
    """Writes a complete checkpoint folder; it appears under its name only when all of it is there."""
    with written_aside(folder) as aside:
        write(model, encoder, aside, probe=probe)


def write(model: RewardModel, encoder: Encoder, folder: Path, *, probe: Sequence[Comparison]) -> None:
    """Writes weights, config, tokenizer, image limits and probe into an existing folder."""
    model.config.architectures = [type(model).__name__]
    if has_lora(model):
        adapter_folder.write(model, folder)
    else:
        model.save_pretrained(folder)
    encoder.save(folder)
    write_probe(model, encoder, folder, [_with_thumbnails(comparison) for comparison in probe])


def write_probe(model: RewardModel, encoder: Encoder, folder: Path, comparisons: Sequence[Comparison]) -> None:
    """Scores comparisons, whose images are the bytes of small files, and writes them with their rewards.

    Raises:
        CheckpointError: a reward is nan or infinite.
    """
    rows = [_probe_row(comparison, rewards_alone(model, encoder, comparison)) for comparison in comparisons]
    for row in rows:
        if not np.isfinite(row["rewards"]).all():
            raise CheckpointError(f"probe {row['id']!r}: expected finite rewards, found {row['rewards']}: the model's weights hold nan "
                                  "or inf, or values that overflow; nothing was written. Use an earlier checkpoint")  # fmt: skip
    write_json(folder / PROBE, {"dtype": str(coarsest_dtype(model)), "comparisons": rows})


def load(
    path: str | Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> tuple[RewardModel, Encoder]:
    """The model (in eval mode) and the encoder of a run, a checkpoint folder or a Hub id; its probe is scored again.

    A folder may be another toolkit's too (``foreign``); it has no probe.

    Raises:
        CheckpointError: files are missing, weights are missing, foreign or not finite, or the probe's rewards differ.
    """
    folder = resolve(path)
    config = fetch_config(folder)
    check_family(config)
    if foreign.describe(config, folder):
        model = foreign.load(folder, config, dtype)
    elif adapter_folder.is_adapter(folder):
        model = adapter_folder.load(Path(folder), config, dtype)
    else:
        model = _read_model(folder, config, dtype)
    check_finite(model, folder)
    model, encoder = model.to(device).eval(), Encoder.from_folder(folder)
    try:
        check_probe(model, encoder, folder)
    except ProbeMismatch as error:
        if dtype == torch.float32:
            raise
        del model  # room for the same weights in float32
        raise CheckpointError(f"{error.difference} {_in_float32(folder, dtype, device)}") from error
    return model, encoder


def _in_float32(folder: str | Path, dtype: torch.dtype, device: torch.device | str) -> str:
    """Whether a folder whose probe fails in another dtype passes in float32, and what to do."""
    try:
        load(folder, device=device)
    except CheckpointError:
        return (
            "In float32 they differ too, so it is not rounding: weights, tokenizer, image limits or library versions changed; "
            "restore the folder, or compare environment.json of the run."
        )
    except (MemoryError, torch.OutOfMemoryError):
        return (
            f"The likely cause is rounding in {dtype}; float32 could not be tried, there is too little memory. Try another dtype."
        )
    return f"The likely cause is rounding in {dtype}: in float32 the same folder passes. Load it with dtype=float32."


def _read_model(folder: str | Path, config: PretrainedConfig, dtype: torch.dtype) -> RewardModel:
    model, info = _read_weights(folder, config, dtype)
    kinds = ("missing_keys", "unexpected_keys", "mismatched_keys")
    problems = {kind: sorted(map(str, info[kind])) for kind in kinds if info[kind]}
    if problems:
        listing = "; ".join(f"{kind.replace('_', ' ')}: {names[:4]} ({len(names)})" for kind, names in problems.items())
        raise CheckpointError(
            f"{folder}: the weights do not fit the model that config.json describes ({listing}). A head is never made up: "
            "use the folder as it was saved, or train a new head with backbone.path=..."
        )
    return model


def _read_weights(folder: str | Path, config: PretrainedConfig, dtype: torch.dtype) -> tuple[RewardModel, dict]:
    """From safetensors alone: a pickle beside them is never opened."""
    # Sizes that do not match are let through here to be listed with the other problems.
    options = {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
    return fetch(RewardModel, folder, config=config, dtype=dtype, **options)


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


def check_finite(model: RewardModel, folder: str | Path) -> None:
    """Refuses a head or pooling with nan or inf in its weights: every reward would be nan.

    Raises:
        CheckpointError: naming the weights.
    """
    broken = [name for name, weight in model.named_parameters() if part_of(name) == "head" and not torch.isfinite(weight).all()]
    if broken:
        raise CheckpointError(f"{folder}: expected finite weights, found nan or inf in {', '.join(broken[:4])}: the training that "
                              "made it diverged, or the file is damaged; use an earlier checkpoint, or copy the folder again")  # fmt: skip


def check_probe(model: RewardModel, encoder: Encoder, folder: str | Path) -> None:
    """Scores the stored probe again.

    Raises:
        CheckpointError: a reward differs by more than the tolerance of the model's dtype, with both values.
    """
    probe = read_probe(folder)
    if probe is None:
        logger.warning("%s has no %s: that these weights give the rewards they were saved with is unchecked", folder, PROBE)
        return
    saved_dtype, rows = probe
    dtype = coarsest_dtype(model)
    tolerance, scale = max(PROBE_TOLERANCE[dtype], PROBE_TOLERANCE[saved_dtype]), probe_scale(rows)
    for comparison, expected in rows:
        if not np.isfinite(expected).all():
            raise CheckpointError(f"{Path(folder) / PROBE}: expected finite rewards of comparison {comparison.id!r}, found "
                                  f"{expected.tolist()}: the model was broken when it was saved; use an earlier checkpoint")  # fmt: skip
        found = rewards_alone(model, encoder, comparison)
        if not reward_error(found, expected, scale) <= tolerance:
            raise ProbeMismatch(
                f"{Path(folder) / PROBE}: comparison {comparison.id!r} had rewards {expected.tolist()} when the folder was saved "
                f"and has {found.tolist()} now (allowed difference {tolerance * scale:.2g} for {dtype}).",
                "Weights, tokenizer, image limits or library versions changed; restore the folder, or compare environment.json of "
                "the run.",
            )


def read_probe(folder: str | Path) -> tuple[torch.dtype, list[tuple[Comparison, np.ndarray]]] | None:
    """The dtype of the weights that scored a folder's probe, and its comparisons with their (N,) rewards; None without a probe.

    Raises:
        CheckpointError: the file is not a probe.
    """
    file = Path(folder) / PROBE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = [(_probe_comparison(row), np.array(row["rewards"], dtype=np.float64)) for row in content["comparisons"]]
        return getattr(torch, content["dtype"].removeprefix("torch.")), rows
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file}: expected comparisons with rewards, found what cannot be read ({error!r})") from error


def probe_scale(rows: Sequence[tuple[Comparison, np.ndarray]]) -> float:
    """What differences of a probe's rewards are relative to: the largest of 1, its largest |reward|, and their spread."""
    rewards = np.concatenate([reward_N for _, reward_N in rows]) if rows else np.zeros(1)
    return float(max(1, np.abs(rewards).max(), np.ptp(rewards)))


def reward_error(found: np.ndarray, expected: np.ndarray, scale: float) -> float:
    """Largest difference of two lists of rewards, relative to ``probe_scale``; nan where one is."""
    return float(np.abs(found - expected).max()) / scale


@torch.no_grad()
def rewards_alone(model: RewardModel, encoder: Encoder, comparison: Comparison) -> np.ndarray:
    """(N,) rewards of one comparison in a pack of its own, in eval mode and in the dtype of the weights."""
    was_training = model.training
    model.eval()
    pack = collate([encoder.encode(comparison)], encoder.patch_settings).to(model.device)
    # Parts in several dtypes are computed as they were trained.
    several = len(dtypes(model)) > 1
    with _own_forward(model), torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=several):
        rewards = model(pack).cpu().numpy()
    model.train(was_training)
    return rewards


@contextmanager
def _own_forward(model: RewardModel) -> Iterator[None]:
    """Without the wrapper that ``Accelerator.prepare`` puts in place of ``model.forward`` and that turns autocast on."""
    wrapper = model.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if wrapper is not None:
            model.forward = wrapper


def dtypes(model: RewardModel) -> set[torch.dtype]:
    """Those of the backbone's weights; weights in 4 bits count by their integers."""
    return {parameter.dtype for parameter in model.model.parameters()}


def coarsest_dtype(model: RewardModel) -> torch.dtype:
    """The dtype that decides how exact the backbone's rewards are; finer ones than float32 count as it."""
    return next((dtype for dtype in (torch.bfloat16, torch.float16) if dtype in dtypes(model)), torch.float32)


def pick_probe(comparisons: Sequence[Comparison], count: int = 3) -> list[Comparison]:
    """A few short comparisons, with and without images where both exist."""

    def size(comparison: Comparison) -> int:
        prompt = sum(len(part.get("text", "")) for turn in comparison.messages for part in turn["content"])
        return prompt + sum(map(len, comparison.responses))

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
