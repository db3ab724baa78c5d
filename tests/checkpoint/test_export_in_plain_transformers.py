"""An exported folder gives our rewards in a process where ``import basereward`` raises: every head on every pooling, every family."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from part_nodes import HEADS, POOLINGS, node
from twin_folders import CREATE, TEXT_ONLY

from basereward import checkpoint, scorer
from basereward.export import export
from basereward.model import RewardModel

FAMILIES = [name for name in CREATE if name != "tiny"]  # "tiny" carries the heads and poolings
MODELS = {f"{head}, {pooling}": (head, pooling) for head in HEADS for pooling in POOLINGS}
SCRIPT = Path(__file__).with_name("plain_transformers.py")
# float32 on a CPU. Rounding follows the size of the head's terms, so the heads here are scaled to rewards below 0.2.
# Worst seen: 3.2e-7 (linear), 4e-8 (mlp).
EXACT = 1e-6


def difference(found: list[float], expected: np.ndarray) -> float:
    return np.abs(np.array(found) - expected).max()


@pytest.fixture(scope="module")
def exported(new_model, comparisons, readable, saved_family, tmp_path_factory) -> dict[str, Path]:
    """Head and pooling on the default backbone, or family -> exported folder; the checkpoint lies beside it.

    Every other head and pooling divides by the logarithm of the length. The families have the default head on attention over the
    response and that division, which need the response's first token: it is found after what the family's template opens a turn with.
    """
    place = tmp_path_factory.mktemp("heads")
    for count, (name, (head, pooling)) in enumerate(MODELS.items()):
        model, encoder = new_model(node("head", head), pooling=node("pooling", pooling), length_norm=count % 2 == 1)
        for parameter in model.pooling.parameters():
            parameter.data.normal_(generator=torch.Generator().manual_seed(count))
        list(model.score.parameters())[-1].data *= 0.125
        checkpoint.save(model, encoder, place / name / "checkpoint", probe=comparisons[:2])
        export(place / name / "checkpoint", place / name / "exported", device="cpu")
    for name in FAMILIES:
        model, encoder = checkpoint.load(saved_family(name))
        parts = {"pooling": node("pooling", "attention"), "length_norm": True}
        model = RewardModel.from_backbone(model.model, model.config.reward_head, seed=3, **parts).eval()
        model.pooling.query.data.normal_(generator=torch.Generator().manual_seed(1))
        list(model.score.parameters())[-1].data *= 0.125
        checkpoint.save(model, encoder, place / name / "checkpoint", probe=readable(name)[:2])
        export(place / name / "checkpoint", place / name / "exported", device="cpu")
    return {name: place / name / "exported" for name in (*MODELS, *FAMILIES)}


@pytest.fixture(scope="module")
def conversations(comparisons, tmp_path_factory) -> list[dict]:
    """One per response, with its pictures as files."""
    place, rows = tmp_path_factory.mktemp("pictures"), []
    for comparison in comparisons:
        paths = [place / f"{comparison.id}-{k}.png" for k in range(len(comparison.images))]
        for image, path in zip(comparison.images, paths):
            image.save(path)
        for response in comparison.responses:
            answer = {"role": "assistant", "content": [{"type": "text", "text": response}]}
            rows.append({"messages": [*comparison.messages, answer], "images": [str(path) for path in paths]})
    return rows


@pytest.fixture(scope="module")
def found(exported, conversations, tmp_path_factory) -> dict:
    """What plain transformers measured, all folders in one process."""
    place = tmp_path_factory.mktemp("plain")
    given = place / "given.json"
    folders = {name: str(folder) for name, folder in exported.items()}
    wanted = {"folders": folders, "conversations": conversations, "reads whole responses": "mlp, mean", "text only": TEXT_ONLY,
              "writes thoughts": "tiny_qwen3"}  # fmt: skip
    given.write_text(json.dumps(wanted))
    environment = os.environ | {"HF_HOME": str(place / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(SCRIPT), str(given)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=[*MODELS, *FAMILIES])
def head(request) -> str:
    """A head, or a family with the default head."""
    return request.param


@pytest.fixture
def expected(head, exported, readable) -> np.ndarray:
    """Our packed rewards, response by response, from the checkpoint that was exported."""
    rm = scorer.load(exported[head].parent / "checkpoint", device="cpu")
    return np.concatenate(list(rm.score_comparisons(readable(head))))


def test_basereward_was_not_there(found):
    assert not found["basereward imported"]


@pytest.mark.parametrize("way", ["right", "left", "alone", "no newline", "with token types"])
def test_rewards_are_ours(head, found, expected, way):
    assert difference(found[head][way], expected) <= EXACT


def test_padding_is_found_without_a_mask(head, found, expected, conversations):
    text_only = [i for i, conversation in enumerate(conversations) if not conversation["images"]]
    of_texts = expected if head in TEXT_ONLY else expected[text_only]
    assert difference(found[head]["no mask, left"], of_texts) <= EXACT


def test_bf16_keeps_the_head_in_float32(head, found, expected):
    """Measured: 3.5e-3 (linear) and 7e-4 (mlp), all of it rounding in the backbone."""
    assert found[head]["bf16 dtypes"] == ["torch.float32"]
    assert 0 < difference(found[head]["bf16"], expected) < checkpoint.PROBE_TOLERANCE[torch.bfloat16]


def test_each_folder_brings_its_own_head(found):
    def class_name(group: str, name: str) -> str:
        return node(group, name)["_target_"].rpartition(".")[2]

    heads = [(found[name]["head"], found[name]["pooling"]) for name in MODELS]
    assert heads == [(class_name("head", head), class_name("pooling", pooling)) for head, pooling in MODELS.values()]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("cut response", "row 0: expected a response closed by <|im_end|>"),
        ("no opening", "row 0: expected a response that begins after the opening"),
        ("thoughts", "row 1: expected a response that begins after the opening"),
        ("a line break first", "must not begin with a line break"),
        ("no end at all", "row 0: expected a response closed by <|im_end|>"),
        ("no pixels", "no pixels for them"),
        ("labels", "has no loss"),
        ("padding that looks like the end", "attention_mask: needed for a batch"),
    ],
)
def test_wrong_batches_are_refused(found, case, message):
    assert message in found["refusals"][case]


def test_the_example_of_the_card_works(found, exported):
    rm = scorer.load(next(iter(exported.values())), device="cpu")
    ours = rm.score("Name a colour.", ["Red.", "I do not know."])
    assert difference(found["card"], np.array(ours)) <= EXACT


def test_the_file_imports_torch_and_transformers_alone(head, exported):
    tree = ast.parse((exported[head] / "modeling_basereward.py").read_text())
    modules = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    modules += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert {m.partition(".")[0] for m in modules} - sys.stdlib_module_names == {"torch", "transformers"}


def test_processors_with_torchvision(head, exported, conversations):
    """``AutoProcessor`` of the folder, where torchvision is installed."""
    pytest.importorskip("torchvision", reason="AutoProcessor of Qwen2.5-VL needs torchvision")
    from transformers import AutoProcessor

    if head in MODELS:
        assert type(AutoProcessor.from_pretrained(exported[head])).__name__ == "Qwen2_5_VLProcessor"
