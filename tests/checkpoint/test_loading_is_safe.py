"""A checkpoint may come from anywhere: loading it runs nothing that stands in it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from basereward import checkpoint
from basereward.errors import BaseRewardError, CheckpointError


class Trap:
    """Unpickled, it writes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.write_text, (self.marker, "executed")


PICKLES = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "model.pkl")


@pytest.fixture
def marker(saved, tmp_path) -> Path:
    """A file that appears when one of the pickles in the checkpoint is opened by an ordinary unpickler."""
    marker = tmp_path / "marker"
    for name in PICKLES:
        (saved / name).write_bytes(pickle.dumps(Trap(marker)))
    return marker


def test_the_trap_works(saved, marker):
    pickle.loads((saved / PICKLES[0]).read_bytes())
    assert marker.exists()


def test_pickles_beside_the_weights_are_not_opened(saved, marker):
    checkpoint.load(saved)
    assert not marker.exists()


def test_pickles_in_place_of_the_weights_are_not_opened(saved, marker):
    (saved / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="safetensors"):
        checkpoint.load(saved)
    assert not marker.exists()


def test_a_checkpoint_holds_no_pickles(saved_once):
    suffixes = {file.suffix for file in saved_once.rglob("*") if file.is_file()}
    assert suffixes <= {".json", ".jinja", ".safetensors", ".txt"}


@pytest.mark.parametrize(
    "target", ["pathlib.Path.write_text", "subprocess.run", "builtins.dict", "basereward.runtime.seed_everything"]
)
def test_only_a_torch_module_is_taken_for_a_head(saved, target):
    """config.json says what to call; what it says is called only when it is a module's class."""
    file = saved / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"reward_head": {"_target_": target}}))
    with pytest.raises(BaseRewardError, match=r"expected the class of a torch module|cannot import"):
        checkpoint.load(saved)


def test_modeling_code_in_a_checkpoint_is_not_run(saved, tmp_path):
    """``auto_map`` in a folder's config is for transformers; ``basereward.load`` never follows it."""
    marker = tmp_path / "marker"
    (saved / "modeling_trap.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Trap: pass\n")
    file = saved / "config.json"
    classes = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification", "AutoTokenizer")
    config = json.loads(file.read_text()) | {"auto_map": dict.fromkeys(classes, "modeling_trap.Trap")}
    file.write_text(json.dumps(config))
    checkpoint.load(saved)
    file.write_text(json.dumps(config | {"model_type": "unknown"}))
    with pytest.raises(CheckpointError, match="unknown|custom code"):
        checkpoint.load(saved)
    assert not marker.exists()
