"""Which libraries are needed for what: declared ones only, the core with the core's alone, training without the optional ones."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a GPU machine has when nothing is installed for us; the rest of these come with transformers.
CORE = {"torch", "transformers", "accelerate", "peft", "numpy", "PIL", "safetensors", "tqdm", "yaml"}
DISTRIBUTION = {"PIL": "pillow", "yaml": "pyyaml", "hydra": "hydra-core", "omegaconf": "hydra-core", "flash_attn": "flash-attn",
                "liger_kernel": "liger-kernel"}  # fmt: skip
OPTIONAL = ["hydra", "omegaconf", "datasets", "pyarrow", "pandas", "tensorboard", "trl", "torchvision", "scipy", "sklearn",
            "fastapi", "pytest"]  # fmt: skip

# Run before anything else in a fresh interpreter: these libraries are then absent for every way of looking for them.
HIDE = """
import sys
hidden = {hidden!r}
class Hiding:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] in hidden else self.finder.find_spec(name, *rest)
    def __getattr__(self, name): return getattr(self.finder, name)
sys.meta_path = [Hiding(finder) if hasattr(finder, "find_spec") else finder for finder in sys.meta_path]
"""


def source_files() -> list[Path]:
    return [file for folder in ("basereward", "data_recipes") for file in sorted((ROOT / folder).rglob("*.py"))]


def imported(nodes: list[ast.AST]) -> set[str]:
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"basereward"}


def run_hidden(code: str, hidden: list[str], cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", HIDE.format(hidden=set(hidden)) + code], cwd=cwd, capture_output=True, text=True)


def test_at_the_top_of_a_module_stand_core_libraries_alone():
    for file in source_files():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert imported(tree.body) <= CORE, f"{file.relative_to(ROOT)}: import this inside the function that uses it"


def test_every_library_is_declared():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    declared = {re.split(r"[<>=!\[; ]", line)[0].lower() for text in lines for line in text.splitlines() if line}
    for file in source_files():
        found = imported(list(ast.walk(ast.parse(file.read_text(encoding="utf-8")))))
        undeclared = {name for name in found if DISTRIBUTION.get(name, name) not in declared}
        assert not undeclared, f"{file.relative_to(ROOT)}: not in setup.cfg: {undeclared}"


@pytest.mark.parametrize("name", OPTIONAL)
def test_hiding_hides(name, tmp_path):
    """The test below would prove nothing if a hidden library could still be imported."""
    done = run_hidden(f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)", OPTIONAL, tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_core_works_with_the_core_libraries_alone(tmp_path, tiny_folder):
    """Import of every module, a reward model made, saved, loaded, and asked for rewards."""
    modules = [".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in source_files()
               if f.is_relative_to(ROOT / "basereward")]  # fmt: skip
    code = f"""
import importlib
for module in {modules!r}:
    importlib.import_module(module)
import basereward
from pathlib import Path
from PIL import Image
from basereward import backbone, checkpoint, encode, model, records
folder = Path({str(tiny_folder)!r})
head = {{"_target_": "basereward.heads.mlp.MLPHead"}}
rm, encoder = model.RewardModel.from_backbone(backbone.load_backbone(folder), head, seed=0), encode.Encoder.from_folder(folder)
row = {{"prompt": "What colour?", "images": [Image.new("RGB", (60, 60), "red")], "chosen": "Red.", "rejected": "Blue."}}
checkpoint.save(rm, encoder, Path("saved"), probe=[records.parse_row(row, where="here")])
rewards = basereward.load("saved").score("What colour?", ["Red.", "Blue."], images=[Image.new("RGB", (60, 60), "red")])
assert len(rewards) == 2 and rewards[0] != rewards[1]
"""
    done = run_hidden(code, OPTIONAL, tmp_path)
    assert done.returncode == 0, done.stderr


def test_training_needs_no_tensorboard_and_no_arrow(tmp_path):
    overrides = ["experiment=demo", "run.dir=run", "run.max_steps=2", "run.eval_every=2", "batch.size=4"]
    overrides += ["data.sources.demo.n=16", "data.val.n=4"]
    hidden = ["tensorboard", "datasets", "pyarrow", "pandas", "trl", "torchvision"]
    done = run_hidden(f"from basereward.cli import main; sys.exit(main(['train', *{overrides!r}]))", hidden, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "TensorBoard is not installed" in done.stderr
    assert (tmp_path / "run" / "final" / "config.json").is_file()
