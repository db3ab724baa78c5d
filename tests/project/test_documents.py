"""What the documents say can be typed: commands compose, rows are read, Python runs, links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from basereward.cli import STAGES, main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def blocks(file: Path, *languages: str) -> list[str]:
    return [text for language, text in BLOCK.findall(file.read_text(encoding="utf-8")) if language in languages]


def commands(file: Path) -> list[str]:
    """Lines that call the command line, in blocks for a shell or without a language; a backslash continues a line."""
    lines = [line for text in blocks(file, "sh", "bash", "console", "") for line in text.replace("\\\n", " ").splitlines()]
    return [line.strip().removeprefix("$ ") for line in lines if line.strip().removeprefix("$ ").startswith("basereward ")]


WRITTEN = ("out=", "output=", "run.dir=")
COMMANDS = sorted({command for file in DOCUMENTS for command in commands(file)})

# The mixture of docs/data.md.
MIXTURE = next(text for text in blocks(ROOT / "docs" / "data.md", "yaml") if "hh_rlhf: {path:" in text)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_folder) -> Path:
    """A folder with what the documents speak of: finished runs, an exported folder, files of comparisons, a picture."""
    from basereward import checkpoint
    from basereward.backbone import load_backbone
    from basereward.encode import Encoder
    from basereward.model import RewardModel

    folder = tmp_path_factory.mktemp("workplace")
    model = RewardModel.from_backbone(load_backbone(tiny_folder), {"_target_": "basereward.heads.linear.LinearHead"}, seed=0)
    checkpoint.save(model, Encoder.from_folder(tiny_folder), folder / "runs" / "demo" / "final", probe=[])
    for name in ("mine", "a"):
        shutil.copytree(folder / "runs" / "demo", folder / "runs" / name)
    shutil.copytree(folder / "runs" / "demo" / "final", folder / "exported")
    (folder / "runs" / "heads").mkdir()
    (folder / "runs" / "heads" / "cells.json").write_text("[]", encoding="utf-8")  # a grid
    (folder / "cars").mkdir()
    for name in ("car.jpg", "cars/1.jpg"):
        Image.new("RGB", (64, 48), "red").save(folder / name)
    row = {"prompt": "What colour is the car?", "images": ["cars/1.jpg"], "chosen": "Red.", "rejected": "Blue."}
    for name in ("my_pairs.jsonl", "pairs.jsonl", "held_out.jsonl"):
        (folder / name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    (folder / "data.json").write_text("[]", encoding="utf-8")  # a copy of VL-RewardBench
    (folder / "hh").mkdir()
    (folder / "hh" / "harmless-base_test.jsonl.gz").touch()
    (folder / "conf" / "data").mkdir(parents=True)
    (folder / "conf" / "data" / "my_mix.yaml").write_text(MIXTURE, encoding="utf-8")
    (folder / "hh-rlhf" / "harmless-base").mkdir(parents=True)  # a copy of that repository
    (folder / "hh-rlhf" / "harmless-base" / "test.jsonl.gz").touch()
    (folder / "blind.jsonl").write_text(
        '{"id": "my_pairs.jsonl:1", "source": "custom", "rewards": [0.5, 0.25]}\n', encoding="utf-8"
    )
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_compose(command, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("BASEREWARD_REAL_DATA", "somewhere")
    words = shlex.split(command, comments=True)[1:]
    if words == ["<stage>", "key=value", "..."]:
        return
    # Taken as new files: what a command would write must not stand there.
    words = [re.sub(r"(\.html|\.md)?$", r"-new\1", word, count=1) if word.startswith(WRITTEN) else word for word in words]
    assert main([*words, "--dry-run"]) == 0, capsys.readouterr().err


def test_the_documents_show_every_stage():
    assert not [stage for stage in STAGES if not any(command.startswith(f"basereward {stage}") for command in COMMANDS)]


def test_python_of_the_readme_runs(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    for text in blocks(ROOT / "README.md", "python"):
        exec(compile(text, "README.md", "exec"), {})
    assert "[" in capsys.readouterr().out


def test_rows_of_the_readme_are_read(workplace):
    from basereward.records import parse_row

    rows = [json.loads(line) for text in blocks(ROOT / "README.md", "jsonl") for line in text.splitlines()]
    assert [len(parse_row(row, where="README.md", image_root=workplace).pairs) for row in rows] == [1, 2]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_links_lead_to_files(file):
    targets = [target for target in LINK.findall(file.read_text(encoding="utf-8")) if "://" not in target]
    assert not [target for target in targets if not (file.parent / target).exists()]


def test_the_index_lists_every_document():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert not [file for file in DOCUMENTS if file.name != "index.md" and f"{file.name})" not in index]
