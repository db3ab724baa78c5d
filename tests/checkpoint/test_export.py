"""What an export writes, refuses and checks. That others can load it stands in ``test_export_in_plain_transformers``."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from twin_folders import TEXT_ONLY

from basereward import checkpoint, scorer
from basereward import export as stage
from basereward.errors import BaseRewardError, CheckpointError, ConfigError
from basereward.export import export, load_plain
from basereward.exported.gather import gather
from basereward.settings import ExportSettings


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def exported(saved, tmp_path) -> Path:
    return export(saved, tmp_path / "exported", device="cpu")


def test_the_folder_is_complete(exported):
    assert names(exported) == [
        "README.md", "chat_template.jinja", "config.json", "model.safetensors", "modeling_basereward.py",
        "preprocessor_config.json", "probe.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    config = json.loads((exported / "config.json").read_text())
    assert config["auto_map"] == {"AutoModelForSequenceClassification": "modeling_basereward.BaseRewardForSequenceClassification"}
    assert (config["num_labels"], config["problem_type"]) == (1, "regression")
    for name in ("preprocessor_config.json", "tokenizer_config.json"):
        assert json.loads((exported / name).read_text())["processor_class"] == "Qwen2_5_VLProcessor"


def test_it_is_a_model_folder_for_us_too(saved, exported, comparisons, tmp_path):
    one, other = scorer.load(saved, device="cpu"), scorer.load(exported, device="cpu")
    a, b = (np.concatenate(list(rm.score_comparisons(comparisons))) for rm in (one, other))
    assert np.abs(a - b).max() <= 1e-6
    checkpoint.save(other.model, other.encoder, tmp_path / "again", probe=comparisons)
    assert "auto_map" not in json.loads((tmp_path / "again" / "config.json").read_text())
    export(exported, tmp_path / "exported again", device="cpu")


def test_bf16_halves_the_weights_and_keeps_the_head(saved, tmp_path, comparisons):
    folder = export(saved, tmp_path / "bf16", dtype="bfloat16", device="cpu")
    weights = load_file(folder / "model.safetensors")
    head = {name for name in weights if name.startswith("score.")}
    assert {weights[name].dtype for name in head} == {torch.float32}
    assert {weights[name].dtype for name in weights.keys() - head} == {torch.bfloat16}
    assert {p.dtype for p in load_plain(folder, dtype="auto").model.parameters()} == {torch.bfloat16}
    assert "when computed in bfloat16" in (folder / "README.md").read_text()
    checkpoint.load(folder, dtype=torch.bfloat16)
    rounded, exact = checkpoint.load(folder), checkpoint.load(saved)
    a, b = (np.concatenate([checkpoint.rewards_alone(*pair, c) for c in comparisons]) for pair in (rounded, exact))
    assert 0 < np.abs(a - b).max() < 1e-2  # measured: 6.2e-3, what rounding the weights alone does to rewards up to 0.7


def test_a_full_folder_is_not_replaced_unless_told_so(saved, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "modeling_basereward.py").write_text("an earlier export")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="overwrite=true"):
        export(saved, out, device="cpu")
    assert names(out) == ["modeling_basereward.py", "notes.txt"]
    export(saved, out, overwrite=True, device="cpu")
    assert "notes.txt" not in names(out) and names(tmp_path) == ["checkpoint", "out"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"dtype": "float8"}, "dtype: expected one of"), ({"model": "nothing"}, "no such folder"), ({"device": "tpu9"}, "device")],
)
def test_wrong_settings_leave_nothing(saved, tmp_path, changes, message):
    settings = ExportSettings(**({"model": str(saved), "out": str(tmp_path / "out"), "device": "cpu"} | changes))
    with pytest.raises(BaseRewardError, match=message):
        stage.run(settings)
    assert names(tmp_path) == ["checkpoint"]


def test_a_file_that_computes_something_else_is_not_delivered(saved, tmp_path, monkeypatch):
    right = stage.model_source
    monkeypatch.setattr(stage, "model_source", lambda *args: right(*args).replace(".squeeze(-1)", ".squeeze(-1) * 1.01"))
    with pytest.raises(CheckpointError, match="expected rewards"):
        export(saved, tmp_path / "out", device="cpu")
    assert names(tmp_path) == ["checkpoint"]


def test_it_is_checked_even_without_a_stored_probe(saved, tmp_path):
    (saved / "probe.json").unlink()
    folder = export(saved, tmp_path / "out", device="cpu")
    rows = json.loads((folder / "probe.json").read_text())["comparisons"]
    assert [len(row["images"]) for row in rows] == [0, 1]


def test_plain_transformers_refuses_a_missing_head(exported):
    file = exported / "model.safetensors"
    weights = load_file(file)
    del weights["score.0.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"1 are missing.*score\.0\.weight"):
        load_plain(exported)


HEAD = """
    from __future__ import annotations
    import torch
    import torch.nn.functional as F
    from basereward.heads.linear import LinearHead
    from .parts import scaled

    class BoundedHead(LinearHead):
        \"\"\"tanh of a linear head.\"\"\"

        def forward(self, hidden_ND: torch.Tensor) -> torch.Tensor:
            return scaled(F.tanh(super().forward(hidden_ND)))
"""
PARTS = """
    # Twice, so that rewards lie in (-2, 2).
    FACTOR = 2.0


    def scaled(reward_N):
        return FACTOR * reward_N
"""


@pytest.fixture
def user_package(tmp_path, monkeypatch):
    """Writes a package ``my_heads`` with the given modules."""

    def write(**modules: str) -> None:
        folder = tmp_path / "site" / "my_heads"
        folder.mkdir(parents=True)
        for name, source in modules.items() | {("__init__", "")}:
            (folder / f"{name}.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(folder.parent)

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_heads"]:
        del sys.modules[name]


def test_a_head_of_somebody_elses_package_is_gathered_with_what_it_needs(user_package, new_model, comparisons, tmp_path):
    user_package(bounded=HEAD, parts=PARTS)
    model, encoder = new_model({"_target_": "my_heads.bounded.BoundedHead"})
    checkpoint.save(model, encoder, tmp_path / "run", probe=comparisons)
    folder = export(tmp_path / "run", tmp_path / "out", device="cpu")
    source = (folder / "modeling_basereward.py").read_text()
    assert "my_heads" not in source and "# Twice, so that" in source and "class LinearHead(nn.Linear)" in source


CARELESS = """
    from torch import nn

    class CarelessHead(nn.Linear):
        def __init__(self, hidden_size):
            super().__init__(hidden_size, 1)

        def forward(self, hidden_ND):
            return super().forward(hidden_ND.float()).squeeze(-1)
"""


def test_a_head_that_names_no_dtype_is_kept_in_float32_all_the_same(user_package, new_model, comparisons, tmp_path):
    user_package(careless=CARELESS)
    model, encoder = new_model({"_target_": "my_heads.careless.CarelessHead"})
    checkpoint.save(model, encoder, tmp_path / "run", probe=comparisons)
    export(tmp_path / "run", tmp_path / "out", device="cpu")
    ours, _ = checkpoint.load(tmp_path / "run", dtype=torch.bfloat16)
    plain = load_plain(tmp_path / "out", dtype=torch.bfloat16)
    assert {p.dtype for p in ours.score.parameters()} == {p.dtype for p in plain.score.parameters()} == {torch.float32}


CARELESS_POOLING = """
    import torch
    from torch import nn

    class CarelessPooling(nn.Linear):
        reads_whole_response = False

        def __init__(self, hidden_size):
            super().__init__(hidden_size, hidden_size)

        def forward(self, hidden_SD, spans):
            return super().forward(torch.stack([hidden_SD[end - 1].float() for _, end in spans]))
"""


def test_a_pooling_of_somebody_elses_package_is_gathered_and_kept_in_float32(user_package, new_model, comparisons, tmp_path):
    user_package(careless=CARELESS_POOLING)
    model, encoder = new_model(
        {"_target_": "basereward.heads.linear.LinearHead"}, pooling={"_target_": "my_heads.careless.CarelessPooling"}
    )
    checkpoint.save(model, encoder, tmp_path / "run", probe=comparisons)
    export(tmp_path / "run", tmp_path / "out", device="cpu")
    ours, _ = checkpoint.load(tmp_path / "run", dtype=torch.bfloat16)
    plain = load_plain(tmp_path / "out", dtype=torch.bfloat16)
    assert {p.dtype for p in ours.pooling.parameters()} == {p.dtype for p in plain.pooling.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import numpy as np\nclass Head:\n    x = np.pi\n", "needs 'numpy'"),
        ("from my_heads.parts import FACTOR as F\nclass Head:\n    x = F\n", "without an alias"),
        ("import my_heads.parts\nclass Head:\n    x = my_heads.parts.FACTOR\n", "copied by name"),
        ("from my_heads.parts import scaled\nFACTOR = 1\nclass Head:\n    x = FACTOR\n    y = scaled\n", "both define 'FACTOR'"),
        ("from my_heads.parts import SequenceReward\nclass Head(SequenceReward): pass\n", "both define 'SequenceReward'"),
    ],
)
def test_a_head_that_cannot_stand_in_one_file_is_refused(user_package, source, message):
    user_package(head=source, parts=textwrap.dedent(PARTS) + "\nclass SequenceReward: pass\n")
    from my_heads.head import Head

    from basereward.exported.modeling import SequenceReward

    with pytest.raises(ConfigError, match=message):
        gather([Head, SequenceReward])


def test_the_plan_writes_nothing(saved, tmp_path):
    settings = ExportSettings(model=str(saved), out=str(tmp_path / "out"))
    assert "write" in stage.plan(settings)
    assert names(tmp_path) == ["checkpoint"]


def test_the_card_speaks_of_pictures_where_the_model_sees(family, saved_family, tmp_path):
    card = (export(saved_family(family), tmp_path / "exported", device="cpu") / "README.md").read_text()
    sees = family not in TEXT_ONLY
    assert [word in card for word in ("With images", "Images of ", "mm_token_type_ids", "image + text")] == [sees] * 4
    assert "<!--" not in card and "$" not in card and "## Files" in card
