"""A saved reward model, and comparisons of every sort that is stored, exported and scored."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import transformers.dynamic_module_utils
from PIL import Image
from twin_folders import CREATE, TEXT_ONLY

from basereward import checkpoint
from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.records import Comparison, parse_row

MLP = {"_target_": "basereward.heads.mlp.MLPHead", "activation": "tanh"}


@pytest.fixture(scope="session", autouse=True)
def module_cache(tmp_path_factory):
    """Where transformers copies the modeling files of exported folders: not the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        patch.syspath_prepend("")  # so that sys.path, to which the cache is added, is put back afterwards
        yield


def picture(seed: int, width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def comparisons() -> list[Comparison]:
    """Text, one image, two images in several turns, a ranking with a system prompt."""
    rows = [
        {"prompt": "Name a colour.", "chosen": "Red.", "rejected": "I do not know any colour at all."},
        {"prompt": "What is this?", "images": [picture(0, 90, 70)], "chosen": "A red car.", "rejected": "Two dogs."},
        {
            "messages": [
                {"role": "user", "content": "<image>First."},
                {"role": "assistant", "content": "I see it."},
                {"role": "user", "content": "<image>\nWhich one is larger?"},
            ],
            "images": [picture(1, 60, 120), picture(2, 57, 56)],
            "responses": ["The first.", "The second one is the larger of the two.", "Neither."],
            "scores": [2, 1, 0],
        },
        {
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
            "responses": ["Hello.", "Good morning to you and to everybody.", "No.", "Hi."],
            "ranks": [0, 1, 3, 2],
        },
    ]
    return [parse_row(row, where=f"rows:{number}", default_id=f"row-{number}") for number, row in enumerate(rows, 1)]


@pytest.fixture(scope="session")
def new_model(tiny_folder) -> Callable[..., tuple[RewardModel, Encoder]]:
    """A head's config node, and what else ``from_backbone`` takes -> a reward model, and its encoder."""

    def make(head: dict, **parts) -> tuple[RewardModel, Encoder]:
        return RewardModel.from_backbone(load_backbone(tiny_folder), head, seed=3, **parts).eval(), Encoder.from_folder(
            tiny_folder
        )

    return make


@pytest.fixture(scope="session")
def readable(comparisons) -> Callable[[str], list[Comparison]]:
    """The name of a tiny backbone -> the comparisons it can read."""
    return lambda name: [c for c in comparisons if not (c.images and name in TEXT_ONLY)]


@pytest.fixture(scope="session")
def saved_family(twin, readable, tmp_path_factory) -> Callable[[str], Path]:
    """The name of a tiny backbone -> a checkpoint folder of a reward model on it; not to be written to."""

    @functools.cache
    def make(name: str) -> Path:
        model = RewardModel.from_backbone(load_backbone(twin(name)), MLP, seed=3).eval()
        list(model.score.parameters())[-1].data *= 0.125  # rewards of about 0.1, so that rounding is below 1e-6
        folder = tmp_path_factory.mktemp(name) / "checkpoint"
        checkpoint.save(model, Encoder.from_folder(twin(name)), folder, probe=readable(name))
        return folder

    return make


@pytest.fixture(params=CREATE)
def family(request) -> str:
    """The name of each family's tiny backbone."""
    return request.param


@pytest.fixture(scope="session")
def saved_once(new_model, comparisons, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "checkpoint"
    model, encoder = new_model(MLP)
    checkpoint.save(model, encoder, folder, probe=comparisons)
    return folder


@pytest.fixture
def saved(saved_once, tmp_path) -> Path:
    """A checkpoint folder of its own for each test."""
    return Path(shutil.copytree(saved_once, tmp_path / "checkpoint"))
