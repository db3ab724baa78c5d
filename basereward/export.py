"""A run or checkpoint -> a folder that plain transformers loads.    basereward export model=runs/demo out=exported"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from basereward import __version__, checkpoint
from basereward.adapters import has_lora, merge
from basereward.config import locate
from basereward.encode import Encoded, Encoder
from basereward.errors import CheckpointError, ConfigError
from basereward.exported.gather import gather
from basereward.exported.modeling import SequenceReward
from basereward.model import LAST, RewardModel
from basereward.places import check_apart, check_folder, model_folders
from basereward.records import Comparison, parse_prompt
from basereward.runtime import pick_device, set_up_logging, write_json, written_aside
from basereward.settings import ExportSettings

SETTINGS = ExportSettings
MODULE = "modeling_basereward"
CLASS = "BaseRewardForSequenceClassification"
DTYPES = ("float32", "bfloat16")
# Parts of the card for models that see.
PICTURES = re.compile(r"<!-- pictures -->\n(.*?)<!-- /pictures -->\n", re.DOTALL)
CARD = Path(__file__).with_name("exported") / "card.md"

logger = logging.getLogger(__name__)


def plan(settings: ExportSettings) -> str:
    """What would be written, after the checks that need no weights."""
    folder = checkpoint.resolve(settings.model)
    _check(Path(settings.out), settings.model, settings.dtype, settings.overwrite)
    pick_device(settings.device)
    return f"plan: read {folder}, write {settings.out} in {settings.dtype}, score its probe through the written folder"


def run(settings: ExportSettings) -> int:
    """Writes the folder; returns the exit code."""
    set_up_logging()
    export(settings.model, settings.out, dtype=settings.dtype, device=settings.device, overwrite=settings.overwrite)
    return 0


def export(
    model_path: str | Path, out: str | Path, *, dtype: str = "float32", device: str = "auto", overwrite: bool = False
) -> Path:
    """Writes a folder that ``AutoModelForSequenceClassification`` loads where ``basereward`` is not installed.

    The folder is written aside, its probe is scored through it as a user would, and only then does it appear under its name.

    Args:
        model_path: a run, a checkpoint folder, or a Hub id.
        out: folder to write.
        dtype: of the backbone's weights; head and pooling are always float32.
        device: for scoring the probe: auto, cpu, cuda.
        overwrite: replace the export that is in ``out``; a folder of another kind is never replaced.

    Returns:
        ``out``.

    Raises:
        ConfigError: ``out`` holds files, is or holds the model's own folder or lies in its run, or cannot be written; an unknown
            dtype; or a head that cannot stand in one file.
        CheckpointError: the model cannot be loaded, or the written folder gives other rewards.
    """
    out = Path(out)
    _check(out, model_path, dtype, overwrite)
    pick_device(device)
    place = out.resolve()
    with written_aside(place) as aside:
        facts = _write(model_path, aside, dtype=dtype, device=device)
        facts |= check_export(aside, device=device)
        (aside / "README.md").write_text(_card(place, facts), encoding="utf-8")
    logger.info(
        "%s: largest difference of the probe's rewards, relative to their scale: %s%s",
        out,
        facts["difference"],
        facts["bf16_note"],
    )
    return out


def _check(out: Path, model_path: str | Path, dtype: str, overwrite: bool) -> None:
    if dtype not in DTYPES:
        raise ConfigError(f"dtype: expected one of {', '.join(DTYPES)}, found {dtype!r}")
    check_apart("out", out, model_folders(model_path))
    place = out.resolve()
    if place == Path.cwd() or place in Path.cwd().parents:
        raise ConfigError(f"out: expected a folder of its own, found {out}, which holds the working directory; add a name to it")
    check_folder("out", out)
    if out.is_dir() and any(out.iterdir()):
        _check_replaceable(out, overwrite)
    check_folder("out", place.parent)


def _check_replaceable(out: Path, overwrite: bool) -> None:
    """Only what an export wrote may be replaced by an export."""
    if not (out / f"{MODULE}.py").is_file():
        raise ConfigError(
            f"out: expected a new folder or an earlier export, found {out} with other files in it (no {MODULE}.py); choose "
            "another name: overwrite=true replaces exports alone"
        )
    if not overwrite:
        raise ConfigError(f"out: {out} exists and is not empty; choose another name, or replace it with overwrite=true")


def _write(model_path: str | Path, folder: Path, *, dtype: str, device: str) -> dict:
    """Everything but the card; returns what the card tells."""
    model, encoder = checkpoint.load(model_path, device=pick_device(device))
    if has_lora(model):
        merged_exactly = model.config.reward_base["quantize"] is None
        merge(model)
        if merged_exactly:  # unpacked from 4 bits, weights are computed with in another way
            checkpoint.check_probe(model, encoder, checkpoint.resolve(model_path))
    probe = checkpoint.read_probe(checkpoint.resolve(model_path))
    comparisons = [comparison for comparison, _ in probe[1]] if probe else default_probe(encoder)
    (folder / f"{MODULE}.py").write_text(model_source(model), encoding="utf-8")
    _cast(model.model, getattr(torch, dtype))
    model.save_pretrained(folder)
    _edit_json(folder / "config.json", _config_keys(model, encoder))
    _save_processor(model, encoder, folder)
    # Computed in float32 the check below is strict, also for weights that were rounded to bfloat16.
    _cast(model.model, torch.float32)
    checkpoint.write_probe(model, encoder, folder, comparisons)
    return _facts(model, encoder, dtype, len(comparisons))


def _cast(backbone: torch.nn.Module, dtype: torch.dtype) -> None:
    """Parameters alone: ``Module.to`` would round the rotary frequencies too, which no checkpoint stores."""
    for parameter in backbone.parameters():
        parameter.data = parameter.data.to(dtype)


def model_source(model: RewardModel) -> str:
    """One Python file: head and pooling with all they need, the model class, and the class that ``auto_map`` names."""
    head_class, pooling_class, config_class = type(model.score), type(model.pooling), type(model.config)
    imports, definitions = gather([head_class, pooling_class, SequenceReward])
    parts = f"{pooling_class.__name__} and {head_class.__name__}"
    return f'''"""A reward model for transformers, written by basereward {__version__}: a backbone, {parts}.

Load it with AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True); see README.md beside this file.
"""

from __future__ import annotations

{imports}
from transformers import {config_class.__name__}


{definitions}


class {CLASS}(SequenceReward):
    """Rewards of a backbone with {parts}; see ``SequenceReward``."""

    config_class = {config_class.__name__}
    head_class = {head_class.__name__}
    pooling_class = {pooling_class.__name__}
'''


def _config_keys(model: RewardModel, encoder: Encoder) -> dict:
    return {
        "architectures": [CLASS],
        "auto_map": {"AutoModelForSequenceClassification": f"{MODULE}.{CLASS}"},
        "num_labels": 1, "id2label": {"0": "reward"}, "label2id": {"reward": 0},
        # Tells pipelines and servers not to put a sigmoid on the output.
        "problem_type": "regression",
        "reward_token_id": encoder.chat.end_id,
        "reward_padding_id": encoder.tokenizer.pad_token_id,
        "reward_opening_ids": encoder.chat.opening_ids(),
        # Checkpoints of the first version have no such keys.
        "reward_pooling": getattr(model.config, "reward_pooling", LAST),
        "reward_length_norm": model.length_norm,
    }  # fmt: skip


def _save_processor(model: RewardModel, encoder: Encoder, folder: Path) -> None:
    """Tokenizer, chat template and image limits, with the processor's class named where AutoProcessor looks for it, as in the
    published folders of the family.
    """
    encoder.save(folder)
    processor_class = PROCESSOR_MAPPING_NAMES.get(model.config.model_type)
    if encoder.image_processor is not None and processor_class:
        for name in ("preprocessor_config.json", "tokenizer_config.json"):
            _edit_json(folder / name, {"processor_class": processor_class})


def _edit_json(file: Path, values: dict) -> None:
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | values)


def default_probe(encoder: Encoder) -> list[Comparison]:
    """What is scored when the source has no probe: a text and, for a backbone that sees, a drawn picture."""
    probe = [Comparison(parse_prompt("Name a colour.")[0], (), ("Red.", "I do not know."), (), id="text")]
    if encoder.image_processor is not None:
        shades = np.linspace(0, 255, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(shades).save(buffer, format="PNG")
        messages, images = parse_prompt("Which side is brighter? <image>", [buffer.getvalue()])
        probe.append(Comparison(messages, images, ("The lower one.", "Neither of them."), (), id="picture"))
    return probe


def check_export(folder: Path, *, device: str = "auto") -> dict[str, str]:
    """Scores the probe of an exported folder through transformers' Auto class, in padded rows, padding on either side.

    Returns:
        What it measured, as texts for the card.

    Raises:
        CheckpointError: a reward differs from the one stored.
    """
    probe = checkpoint.read_probe(folder)
    if probe is None or not probe[1]:
        raise CheckpointError(f"{folder}: expected {checkpoint.PROBE} with comparisons to score, found none")
    encoder = Encoder.from_folder(folder)
    stored_dtype = getattr(torch, json.loads((folder / "config.json").read_text(encoding="utf-8"))["dtype"])
    worst = {}
    for dtype in dict.fromkeys((torch.float32, stored_dtype)):
        model = load_plain(folder, dtype=dtype).to(pick_device(device))
        worst[dtype] = max(_difference(model, encoder, *row, checkpoint.probe_scale(probe[1])) for row in probe[1])
        del model
    note = f" ({worst[stored_dtype]:.1e} when computed in {stored_dtype})" if stored_dtype != torch.float32 else ""
    return {"difference": f"{worst[torch.float32]:.1e}", "bf16_note": note.replace("torch.", "")}


def load_plain(folder: str | Path, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """An exported model in eval mode, loaded as a user without basereward loads it."""
    return AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True, dtype=dtype).eval()


@torch.no_grad()
def _difference(model: PreTrainedModel, encoder: Encoder, comparison: Comparison, expected: np.ndarray, scale: float) -> float:
    """Largest error of a comparison's rewards in left- and right-padded rows, relative to the probe's scale."""
    errors = []
    for side in ("right", "left"):
        rows = padded_rows(encoder.encode(comparison), encoder, side=side)
        found = model(**{name: value.to(model.device) for name, value in rows.items()}).logits[:, 0].cpu().numpy()
        errors.append(checkpoint.reward_error(found, expected, scale))
        if not errors[-1] <= checkpoint.PROBE_TOLERANCE[model.dtype]:
            raise CheckpointError(
                f"export: expected rewards {expected.tolist()} for the probe {comparison.id!r}, found {found.tolist()} through "
                f"the written folder ({side}-padded rows, {model.dtype}); nothing was written. See docs/export.md"
            )
    return max(errors)


def padded_rows(item: Encoded, encoder: Encoder, *, side: str) -> dict[str, torch.Tensor]:
    """One padded row for each response, with the images repeated: what a user of plain transformers passes to the model."""
    rows = [np.concatenate([item.prefix_ids, response]) for response in item.response_ids]
    batch = _pad(rows, encoder.tokenizer.pad_token_id, side)
    if item.patches:
        settings = encoder.patch_settings
        patches = torch.from_numpy(np.concatenate(item.patches * len(rows)))
        mean, std = torch.tensor(settings.mean), torch.tensor(settings.std)
        grids = torch.tensor(item.grids * len(rows))
        batch |= encoder.family.vision_inputs(patches, grids, mean=mean, std=std, frames=settings.frames)
    return batch


def _pad(rows: Sequence[np.ndarray], padding_id: int, side: str) -> dict[str, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), padding_id)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, place] = torch.from_numpy(row)
        mask[i, place] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _facts(model: RewardModel, encoder: Encoder, dtype: str, num_probe: int) -> dict:
    settings = encoder.patch_settings
    return {
        "family": model.config.model_type, "hidden_size": model.config.get_text_config().hidden_size,
        "num_parameters": round(sum(p.numel() for p in model.parameters()) / 1e6, 1),
        "head": _call(model.config.reward_head), "pooling": _call(getattr(model.config, "reward_pooling", LAST)),
        "length_norm": "divided by log(tokens of the response + 1)" if model.length_norm else "as the head gives it", "dtype": dtype,
        "image_processor": type(encoder.image_processor).__name__, "version": __version__, "num_probe": num_probe,
        "sees": settings is not None, "reads": "image + text conversations" if settings else "conversations of text",
        "min_pixels": f"{settings.min_pixels:,}" if settings else "0",
        "max_pixels": f"{settings.max_pixels:,}" if settings else "0",
    }  # fmt: skip


def _call(node: Mapping[str, Any]) -> str:
    """A config node as the call that it stands for."""
    arguments = (f"{key}={value!r}" for key, value in node.items() if key != "_target_")
    return f"{locate(node['_target_']).__name__}({', '.join(arguments)})"


def _card(out: Path, facts: dict) -> str:
    text = PICTURES.sub(r"\1" if facts["sees"] else "", CARD.read_text(encoding="utf-8"))
    return Template(text).substitute(facts, name=out.name, folder=out.name)
