"""Every file of conf/ablation: its cells compose, are distinct and as many as its comment says; its command is its own; its twin is small.

Seeds differ in `run.seed` alone, so that each setting is composed with the first of them.
"""

from __future__ import annotations

import functools
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from basereward import train
from basereward.config_folders import options
from basereward.grids.cells import Cell, cells_of, settings_of
from basereward.grids.command import read_grid
from basereward.grids.search import read_search, trial_cells
from basereward.grids.spec import GridSpec
from basereward.grids.spec_checks import evaluate_settings

CONF = Path(__file__).resolve().parents[2] / "conf" / "ablation"
NAMES = options("ablation")
TINY = [name for name in NAMES if name.endswith("_tiny")]
RUNS = re.compile(r"^# (\d+) runs: (\d+) [a-z ]+ x (\d+) seeds?$", re.MULTILINE)


@functools.cache
def grid(*words: str) -> GridSpec:
    """Of a command line."""
    return read_grid(words).spec


@functools.cache
def settings_and_seeds(name: str) -> tuple[GridSpec, list[Cell], int]:
    """The grid, its settings with the first seed, and how many seeds there are."""
    spec = grid(f"ablation={name}")
    seeds = spec.factors[spec.replicate]
    beside = [*spec.only, *spec.zip]
    assert spec.replicate not in str(beside), "a condition on seeds: compose them all"
    one_seed = replace(spec, factors={**spec.factors, spec.replicate: seeds[:1]})
    cells = cells_of(one_seed) if not spec.search else trial_cells(one_seed, some_trials(spec))
    return spec, cells, len(seeds)


def some_trials(spec: GridSpec) -> list[dict]:
    """Both ends of what is looked through."""
    keys = read_search(spec.search).keys
    return [{key: limits[end] for key, limits in keys.items()} for end in ("low", "high")]


@pytest.mark.parametrize("name", NAMES)
def test_its_cells_are_distinct_and_as_many_as_its_comment_says(name):
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    spec, cells, seeds = settings_and_seeds(name)  # composing refuses two cells that are the same run
    expected = read_search(spec.search).trials if spec.search else len(cells)
    total, settings, per_setting = map(int, RUNS.search(text).groups())
    assert (settings, per_setting, total) == (expected, seeds, expected * seeds)
    assert len({cell.name for cell in cells}) == len(cells) and spec.name == name


@pytest.mark.parametrize("name", NAMES)
def test_the_command_of_its_first_line_is_its_own(name):
    first = (CONF / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    words = shlex.split(first.partition("    basereward ")[2])
    assert words[:2] == ["ablate", f"ablation={name}"] and grid(*words[1:]).name == name


def test_what_they_evaluate_composes():
    entries = {str(entry): entry for name in NAMES for entry in grid(f"ablation={name}").evaluate}
    assert all(grid(f"ablation={name}").evaluate for name in NAMES)
    assert [evaluate_settings(entry, "runs/none").benchmark for entry in entries.values()]


def test_every_grid_has_a_twin_for_a_processor():
    assert {name.removesuffix("_tiny") for name in TINY} == set(NAMES) - set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_a_twin_is_small_and_would_start(name, tmp_path):
    """As with --dry-run, of its last cell: the first ones are the demo's own."""
    spec, cells, seeds = settings_and_seeds(name)
    assert len(cells) * seeds <= 18 and spec.experiment == "demo"
    settings = settings_of(cells[-1], tmp_path / "run")
    assert settings.run.max_steps <= 300
    assert "nothing was read, trained or written" in train.plan(settings)
