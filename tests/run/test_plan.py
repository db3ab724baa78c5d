"""`basereward plan`: a run or a grid before anything starts; what is finished, kept, unknown, or does not fit."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from basereward.cli import main
from basereward.compose import compose
from basereward.config_folders import options
from basereward.costs.hardware import read_hardware
from basereward.grids.cells import cells_of
from basereward.grids.command import read_grid
from basereward.plan import PlanSettings, read_words

ROOT = Path(__file__).resolve().parents[2]
# A device of round figures, so that nothing is measured here.
DEVICE = (
    "hardware.name=round",
    "hardware.bfloat16_tflops=1000",
    "hardware.float32_tflops=1",
    "hardware.memory_gib=80",
    "sample=16",
)
DEMO = (*DEVICE, "experiment=demo", "run.max_steps=10")


def settings_of(*words: str) -> PlanSettings:
    return read_words(words)


@pytest.fixture
def planned(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; its JSON and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[dict, str]:
        assert main(["plan", *words, "out=plan.json"]) == 0
        return json.loads(Path("plan.json").read_text()), capsys.readouterr().out

    return run


def test_a_run_by_itself_and_its_sums(planned):
    found, text = planned(*DEMO, "evaluate=[demo]", "gpus=[4,8]")
    (run,) = found["runs"]
    work, sums = run["operations"], found["totals"]
    assert work["total"] == work["computed"] + work["validation"] + work["evaluation"] == sums["flops"]
    assert run["gpu_hours"] == pytest.approx(work["total"] / (1e12 * 0.4) / 3600) and sums["wall_hours"] == {
        "4": run["gpu_hours"] / 4,
        "8": run["gpu_hours"] / 8,
    }
    assert work["steps"] == 10 and work["comparisons"] == 320 and run["validation"] == 400
    # One validation of 400 at the end and a benchmark of 1,200 of the same kind of rows, at a forward each.
    assert work["evaluation"] / work["validation"] == pytest.approx(3, rel=0.15)  # other 16 rows were looked at
    assert "experiment=demo" in text and "assumptions" in text and not Path("runs").exists()


def test_words_with_several_values_make_a_grid(planned):
    found, text = planned(*DEMO, "head=linear,mlp", "run.seed=range(0,3)")
    assert [run["name"] for run in found["runs"]] == [
        f"head={head},run.seed={seed}" for head in ("linear", "mlp") for seed in range(3)
    ]
    assert found["totals"]["gpu_hours"] == pytest.approx(sum(run["gpu_hours"] for run in found["runs"]))
    assert re.search(r"^head=linear +3 ", text, re.MULTILINE)


def test_a_search_costs_as_many_runs_as_it_tries_and_halving_is_said(planned):
    found, text = planned(*DEVICE, "ablation=learning_rate_search_tiny", "run.max_steps=10", "run.seed=0,1")
    hours = [run["gpu_hours"] for run in found["runs"]]
    assert len(hours) == 12 and len(set(hours[::2])) == 1 and "successive halving" not in text
    _, text = planned(*DEMO, "head=linear,mlp", "ablation.halving={rungs:[5],keep:0.5}")
    assert "successive halving makes it less" in text


def test_finished_runs_of_a_grid_cost_nothing_more(planned):
    """Known by their hash, whatever they are called; a failed one is still to come."""
    words = ("ablation=heads_tiny", "run.max_steps=10", "run.seed=0", "head=linear,mlp")
    cells = cells_of(read_grid(words).spec)
    states = {"linear": "done", "mlp": "failed"}
    for number, cell in enumerate(cells):
        folder = Path("runs/heads_tiny/cells") / f"older-{number}"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"state": states.get(cell.setting["head"]), "hash": cell.hash}))
    found, text = planned(*DEVICE, *words)
    assert [run["setting"] for run in found["runs"] if run["done"]] == ["head=linear"]
    assert found["totals"]["gpu_hours_left"] == pytest.approx(found["totals"]["gpu_hours"] / 2, rel=0.01)
    assert "2, 1 of them done" in text
    other, _ = planned(*DEVICE, *words, "optim.lr=2e-3")
    assert not any(run["done"] for run in other["runs"])


def test_runs_that_share_kept_states_cost_the_first_a_forward(planned):
    found, _ = planned(*DEMO, "parts=head_only", "cache.hidden=true", "head=linear,mlp", "run.epochs=2", "run.max_steps=null")
    first, second = (run["operations"]["computed"] for run in found["runs"])
    assert first > 0 and second == 0 and found["totals"]["disk_cache"] > 0


def test_a_backbone_whose_sizes_are_not_here_is_said_and_left_out(planned, monkeypatch):
    """The 7B's stand in its YAML; no config is in the Hub's cache."""

    def absent(*_, **__):
        raise OSError("not in the cache")

    monkeypatch.setattr("basereward.memory.AutoConfig.from_pretrained", absent)
    found, text = planned(*DEVICE, "experiment=basereward_7b", "data=tulu_3", "backbone=qwen2_5_vl_7b,qwen3_vl_4b")
    assert found["runs"][1]["unknown"] == "the sizes of Qwen/Qwen3-VL-4B-Instruct" and found["totals"]["runs"] == 1
    assert "not in these sums: 1 run on Qwen/Qwen3-VL-4B-Instruct" in text


def test_what_is_advised_fits(planned):
    small = ("backbone.shape.num_hidden_layers=2", "hardware.memory_gib=16")  # of the 8B, so that it is made at once
    words = (*DEVICE, "experiment=text_rm_qwen3_8b", "data=tulu_3", *small)
    found, text = planned(*words)
    assert found["runs"][0]["memory"]["fits"] is False and "does not fit" in text
    advised = re.findall(r"would fit with (.+) \(", text)
    assert len(advised) >= 3
    for change in advised:
        changed, _ = planned(*words, *change.split())
        assert changed["runs"][0]["memory"]["fits"], change
    _, text = planned(*words[:-1], "hardware.memory_gib=2.1")
    assert "nothing that this version offers makes it fit" in text


def test_items_of_public_benchmarks_by_their_published_number(planned):
    """RM-Bench has 1,327 prompts of 6 responses: 55 + 6 x 150 tokens each; its forwards beside those of training's 2 responses."""
    words = (*DEVICE, "experiment=text_rm_qwen3_8b", "data=tulu_3", "run.max_steps=100", "backbone.shape.num_hidden_layers=2")
    found, _ = planned(*words, "evaluate=[rm_bench]")
    work = found["runs"][0]["operations"]
    forward = work["needed"] / work["comparisons"] / 3
    assert work["evaluation"] / 1327 == pytest.approx(forward * 955 / 355, rel=0.02)
    group, _ = planned(*words, "evaluate=[text]")
    assert group["runs"][0]["operations"]["evaluation"] > work["evaluation"]


@pytest.mark.parametrize(
    ("words", "pieces"),
    {
        "a mistyped key": (["gpu=8"], ["gpu: neither a key of the plan nor of training", "'gpus'"]),
        "too much": (["mfu=1.2"], ["mfu: expected a share"]),
        "no device": (["gpus=0"], ["gpus: expected a whole number from 1"]),
        "an unknown device": (["hardware=h10"], ["hardware=h10", "did you mean 'h100'"]),
        "an unknown grid": (["ablation=haeds_tiny"], ["did you mean 'heads_tiny'"]),
        "a figure nobody looked up": (
            ["hardware=h800", "experiment=demo", "optim.precision=bf16"],
            ["hardware.bfloat16_tflops=..."],
        ),
        "a folder for the plan": (["experiment=demo", "out=."], ["out: expected a file"]),
    }.values(),
)
def test_a_mistake_is_told(words, pieces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "sample=4", *words]) == 2
    message = capsys.readouterr().err
    assert all(piece in message for piece in pieces), message


@pytest.mark.parametrize("name", [name for name in options("hardware") if name != "cpu"])
def test_a_device_is_described_with_its_source(name):
    """Every figure of a device that is not here, and every null, has a reason beside it or on the line above."""
    lines = (ROOT / "conf" / "hardware" / f"{name}.yaml").read_text().splitlines()
    for before, line in zip(lines, lines[1:], strict=False):
        key = line.partition(":")[0]
        if key.endswith(("_tflops", "_gib")) and "float32_tflops: null" not in line:
            assert "#" in line or before.startswith("#"), f"{name}: {line}"
    device = read_hardware(compose("plan", [f"hardware={name}"], PlanSettings).hardware)
    assert device.memory is not None and 20 * 2**30 < device.memory < 200 * 2**30
    assert device.peaks["bfloat16"] is None or 1e14 < device.peaks["bfloat16"] < 1e16


def shown() -> list[tuple[str, str]]:
    """(command, what docs/plan.md prints under it)."""
    text = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    return re.findall(r"^```text\n\$ (basereward plan [^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(
    "BASEREWARD_GRID_TESTS" not in os.environ, reason="composes the paper's 29 models; CI runs it in a step of its own"
)
def test_the_page_shows_what_is_printed(tmp_path, monkeypatch, capsys):
    ((command, printed),) = shown()
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == printed


def test_a_peak_measured_under_load_is_printed_with_the_load(monkeypatch):
    monkeypatch.setattr("basereward.costs.hardware.measured_peak", lambda device, dtype: 8.5e10)
    monkeypatch.setattr("os.getloadavg", lambda: (3.25, 1, 1))
    node = {"name": "cpu", "bfloat16_tflops": 1, "float32_tflops": "measured", "memory_gib": 8}
    told = read_hardware(node).measured
    assert "85 GFLOP/s in float32, under the present load (3.2 in the last minute, on" in told and "bfloat16" not in told
    assert read_hardware(node | {"float32_tflops": 1}).measured is None
