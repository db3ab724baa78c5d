"""A reward model that another toolkit saved -> a ``RewardModel``: its head is looked for among the names of its tensors.

    score.weight (1, D), score.bias              transformers' sequence classifiers, TRL's RewardTrainer, ms-swift, OpenRLHF
    v_head.summary.weight (1, D), .bias (1,)     TRL's value head, among the weights, with and without ``pretrained_model.`` before them
    the same in value_head.safetensors           LLaMA-Factory, Skywork-VL-Reward

Beside the weights may stand a language-model head, which is left out. Pickles are never opened.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import PretrainedConfig
from transformers.utils import cached_file

from basereward.backbone import load_backbone
from basereward.backbones.find import PICKLES, pickle_advice
from basereward.errors import CheckpointError
from basereward.model import LAST, RewardModel

WEIGHTS, INDEX, VALUE_HEAD = "model.safetensors", "model.safetensors.index.json", "value_head.safetensors"
HEADS = {"score": "score", "v_head": "v_head.summary"}
"""First part of a tensor's name -> what stands before ``.weight`` and ``.bias``."""
# First parts of the names of what is not a head: the backbone in its layouts, and the language-model head.
NO_HEADS = {
    "model", "language_model", "visual", "vision_tower", "multi_modal_projector", "layers", "embed_tokens", "norm", "lm_head",
}  # fmt: skip
WRAPPER = "pretrained_model."
FORMS = "score.weight (AutoModelForSequenceClassification), v_head.summary.weight (TRL's value head), or value_head.safetensors"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinearWeights:
    """A head of another toolkit: ``weight`` (1, D) and ``bias`` (1,) or ``None``, float32, and where they stood."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    name: str


def describe(config: PretrainedConfig, source: str | Path) -> bool:
    """Writes into a config without ``reward_head`` the linear head and the pooling of another toolkit's reward model.

    Returns:
        Whether it is one; a config of ours is left as it is.

    Raises:
        CheckpointError: there is no head, more than one, one in a pickle, or one that does not give one reward.
    """
    if getattr(config, "reward_head", None):
        return False
    has_bias = find_head(source, config).bias is not None
    config.reward_head = {"_target_": "basereward.heads.linear.LinearHead", "output_bias": has_bias, "init_scale": 1.0}
    config.reward_pooling, config.reward_length_norm = dict(LAST), False
    return True


def load(source: str | Path, config: PretrainedConfig, dtype: torch.dtype) -> RewardModel:
    """The reward model of a folder or Hub id whose config was described."""
    head = find_head(source, config)
    backbone = load_backbone(source, dtype=dtype, use_safetensors=True)
    for name, value in vars(config).items():
        if name.startswith("reward_"):
            setattr(backbone.config, name, value)
    model = RewardModel(backbone.config, backbone)
    with torch.no_grad():
        model.score.weight.copy_(head.weight)
        if head.bias is not None:
            model.score.bias.copy_(head.bias)
    bias = "no bias" if head.bias is None else f"bias {head.bias.item():.4g}"
    logger.info("%s: the head is %s (%s); rewards are read at the end of the turn, <|im_end|>", source, head.name, bias)
    return model


def find_head(source: str | Path, config: PretrainedConfig) -> LinearWeights:
    """The head of a folder or Hub id.

    Raises:
        CheckpointError: as in ``describe``.
    """
    files = tensor_files(source)
    outside = {name: file for name, file in files.items() if name.removeprefix(WRAPPER).partition(".")[0] not in NO_HEADS}
    found = sorted({name.partition(".")[0] for name in outside} & HEADS.keys())
    if not outside:
        raise CheckpointError(f"{source}: expected a reward model, with {FORMS}, found a plain {config.model_type} backbone "
                              f"(config.json has no reward_head).{_pickled(source)} Train a reward model from it first: "
                              "basereward train backbone.path=..., or start a run from it with head.init=new")  # fmt: skip
    names = {} if len(found) != 1 else {kind: f"{HEADS[found[0]]}.{kind}" for kind in ("weight", "bias")}
    if not names or names["weight"] not in outside or not outside.keys() <= set(names.values()):
        raise CheckpointError(f"{source}: expected one linear head and nothing beside it, as {FORMS}; found {sorted(outside)[:6]} "
                              f"({len(outside)}).{_pickled(source)} A head is never made up: basereward train with init_from and "
                              "head.init=new takes the backbone and trains a new one")  # fmt: skip
    tensors = {kind: _tensor(source, outside[name], name) for kind, name in names.items() if name in outside}
    _check_shapes(source, tensors, config, names)
    return LinearWeights(tensors["weight"], tensors.get("bias"), f"{names['weight']} of {outside[names['weight']]}")


def tensor_files(source: str | Path) -> dict[str, str]:
    """Name of every tensor of a folder or Hub id -> the file that holds it; nothing but safetensors is looked at.

    Raises:
        CheckpointError: there are no weights in safetensors, or their index or a file cannot be read.
    """
    index = _find(source, INDEX)
    names: dict[str, str] = {}
    if index is not None:
        try:
            names |= json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{index}: expected the index of the weights, found what cannot be read ({error!r})") from error
    for file in ([] if names else [WEIGHTS]) + [VALUE_HEAD]:
        if (path := _find(source, file)) is not None:
            names |= dict.fromkeys(_names(path), file)
    if not any(file != VALUE_HEAD for file in names.values()):
        raise CheckpointError(f"{source}: expected weights in safetensors ({WEIGHTS}, or its parts and {INDEX}), found none."
                              f"{_pickled(source) or ' Restore the folder from where it was made or copied'}")  # fmt: skip
    return names


def _names(path: Path) -> list[str]:
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected tensors in safetensors, found what cannot be read ({error})") from error


def _tensor(source: str | Path, file: str, name: str) -> torch.Tensor:
    path = _find(source, file)
    if path is None or name not in _names(path):
        raise CheckpointError(f"{source}: expected {name} in {file}, as {INDEX} says, found nothing there; copy the folder again")
    with safe_open(path, framework="pt") as tensors:
        return tensors.get_tensor(name).float()


def _check_shapes(source: str | Path, tensors: dict[str, torch.Tensor], config: PretrainedConfig, names: dict[str, str]) -> None:
    width = config.get_text_config().hidden_size
    wanted = {"weight": (1, width), "bias": (1,)}
    for kind, tensor in tensors.items():
        if tuple(tensor.shape) != wanted[kind]:
            labels = f": a classifier with {tensor.shape[0]} labels is no reward model" if tensor.shape[:1] != (1,) else ""
            raise CheckpointError(f"{source}: expected {names[kind]} of shape {wanted[kind]}, one reward from {width} values, found "
                                  f"{tuple(tensor.shape)}{labels}. head.init=new trains a new head on the backbone")  # fmt: skip


def _pickled(source: str | Path) -> str:
    """A sentence about the pickles that were not opened; empty where there are none."""
    return pickle_advice([name for name in PICKLES if _find(source, name) is not None]).removeprefix(".")


def _find(source: str | Path, name: str) -> Path | None:
    """A file of a folder or of a repository on the Hub; ``None`` where it is not."""
    if Path(source).is_dir():
        return Path(source) / name if (Path(source) / name).is_file() else None
    try:
        return Path(cached_file(source, name))
    except OSError:
        return None
