"""A checkpoint with adapters: the adapters, every weight trained in full, and the name and hashes of the base they belong to.

    adapter_config.json, adapter_model.safetensors   as peft writes them; peft loads them onto the base
    trained.safetensors                              the head, and what else was trained in full
    config.json                                      the reward model's, with ``reward_base``

All else (tokenizer, image limits, probe) is as in any checkpoint.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PretrainedConfig

from basereward.adapters import NAME, adapter_weights, four_bits, inject, read_into, trained_weights
from basereward.backbone import load_backbone
from basereward.errors import CheckpointError
from basereward.model import RewardModel
from basereward.parts import part_of
from basereward.runtime import file_hash, write_json

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TRAINED_WEIGHTS = "trained.safetensors"


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds adapters and not a whole model."""
    return (Path(folder) / ADAPTER_CONFIG).is_file()


def base_reference(source: str | Path, *, commit: str | None, quantize: str | None) -> dict[str, Any]:
    """What a checkpoint says about its base: a folder with the hashes of its weights, or a Hub id with its commit."""
    folder = Path(source)
    if not folder.is_dir():
        return {"path": str(source), "revision": commit, "sha256": {}, "quantize": quantize}
    return {"path": str(folder.resolve()), "revision": None, "sha256": hashes(folder), "quantize": quantize}


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file with weights; the files side by side, as hashing is what loading a large base would wait for."""
    files = sorted(folder.glob("*.safetensors"))
    with ThreadPoolExecutor() as pool:
        return dict(zip((file.name for file in files), pool.map(file_hash, files)))


def write(model: RewardModel, folder: Path) -> None:
    """Writes the config, the adapters and the trained weights into an existing folder."""
    base = dict(model.config.reward_base)
    if base["sha256"]:
        # Beside the whole path, so that a directory that is moved with its base still finds it.
        base["relative"] = os.path.relpath(base["path"], folder)
    model.config.reward_base = base
    quantisation = model.config.__dict__.pop("quantization_config", None)
    model.config.save_pretrained(folder)
    if quantisation is not None:
        model.config.quantization_config = quantisation
    written = model.model.peft_config[NAME].to_dict()
    written |= {"base_model_name_or_path": base["path"], "revision": base["revision"], "inference_mode": True,
                "target_modules": sorted(written["target_modules"])}  # fmt: skip
    write_json(folder / ADAPTER_CONFIG, written)
    _save(adapter_weights(model), folder / ADAPTER_WEIGHTS)
    _save(trained_weights(model), folder / TRAINED_WEIGHTS)


def _save(tensors: dict[str, torch.nn.Parameter], file: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, file, metadata={"format": "pt"})


def load(folder: Path, config: PretrainedConfig, dtype: torch.dtype) -> RewardModel:
    """The base with the adapters and the trained weights of a folder.

    Args:
        config: of the folder.
        dtype: of the base; what was trained is float32.

    Raises:
        CheckpointError: the base is not there or was changed, or weights are missing or foreign.
    """
    reference = getattr(config, "reward_base", None)
    if not (
        isinstance(reference, dict) and isinstance(reference.get("path"), str) and {"sha256", "quantize"} <= reference.keys()
    ):
        raise CheckpointError(f"{folder}/config.json: expected reward_base, the base of the adapters, found {reference!r}")
    base, revision = find_base(folder, reference)
    options = four_bits(reference["quantize"], key=f"{folder}: base in 4 bits")
    backbone = load_backbone(base, revision=revision, dtype=torch.bfloat16 if options else dtype, **options)
    for name, value in vars(config).items():
        if name.startswith("reward_"):
            setattr(backbone.config, name, value)
    model = RewardModel(backbone.config, backbone)
    inject(model, LoraConfig.from_pretrained(str(folder)))
    model.requires_grad_(False)
    for parameter in read_weights(model, folder):
        parameter.requires_grad_(True)
    return model


def find_base(folder: Path, reference: dict[str, Any]) -> tuple[str | Path, str | None]:
    """Where the base is, and its revision; its weights are those the adapters were trained on."""
    if not reference["sha256"]:
        return reference["path"], reference.get("revision")
    places = [folder / reference.get("relative", "."), Path(reference["path"])]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise CheckpointError(
            f"{folder}: these are adapters, and their base is missing: expected it at {reference['path']}. Put it there, or write "
            "where it is now into config.json (reward_base.path); merged by basereward export, a model needs no base"
        )
    now = hashes(found)
    changed = [name for name, value in reference["sha256"].items() if now.get(name) != value]
    changed += sorted(now.keys() - reference["sha256"].keys())
    if changed:
        raise CheckpointError(
            f"{folder}: expected the base that the adapters were trained on, found other weights in {found}: {', '.join(changed[:4])} "
            "changed or is missing. Adapters mean nothing on another base: restore it"
        )
    return found, None


def check_same_base(folder: Path, reference: dict[str, Any]) -> None:
    """Refuses to continue adapters on another base than theirs."""
    saved = json.loads((folder / "config.json").read_text(encoding="utf-8"))["reward_base"]
    if any(saved[key] != reference[key] for key in ("revision", "sha256", "quantize")):
        raise CheckpointError(f"{folder}: expected the base of these adapters, {saved['path']} as it was, found other weights in "
                              f"{reference['path']}; restore it, or start a new run")  # fmt: skip


def read_weights(model: RewardModel, folder: Path) -> list[torch.nn.Parameter]:
    """Adapters and trained weights of a folder into a model with the same adapters; returns those parameters."""
    adapters, trained = _read(folder / ADAPTER_WEIGHTS), _read(folder / TRAINED_WEIGHTS)
    named = dict(model.named_parameters())
    expected = {name: p for name, p in named.items() if part_of(name) == "head" or (name in trained and p.is_floating_point())}
    read_into(model, trained, expected, f"{folder}/{TRAINED_WEIGHTS}")
    read_into(model, adapters, adapter_weights(model), f"{folder}/{ADAPTER_WEIGHTS}")
    return [*expected.values(), *adapter_weights(model).values()]


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: expected weights in safetensors, found what cannot be read ({error})") from error
