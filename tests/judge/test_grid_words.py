"""What a grid's page says in words: a headline that agrees with the marks, and what to do where nothing was judged or a file is damaged."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import pytest
from html_pages import Page
from made_grids import write_grid

from basereward import grid_results
from basereward.cli import main
from basereward.grid_page.words import scatter, unjudged


@pytest.mark.filterwarnings("error")
def test_the_headline_says_no_more_than_the_marks(tmp_path, capsys):
    """Two heads that change nothing are one model; whoever wins is 'the best' only where the table marks it."""
    folder = write_grid(tmp_path / "g", {"head": ("gated", "mlp", "linear")}, {("gated",): 0.1}, seeds=2, items=200)
    for seed in (0, 1):
        one, other = (folder / "cells" / f"head={same},run.seed={seed}" / "eval" for same in ("mlp", "linear"))
        shutil.rmtree(other)
        shutil.copytree(one, other)
    for baseline in ("gated", "mlp"):
        assert main(["report", f"runs={folder}", f"baseline={baseline}"]) == 0
        lead, row = capsys.readouterr().out.splitlines()[0], grid_results.read(folder, baseline=baseline).tables()["demo"]
        rivals = [of.difference.verdict for name, of in row.settings.items() if of.difference and baseline in (name, row.winner)]
        first = row.settings["gated"]
        marks = [first.difference.verdict] if first.difference else rivals
        assert ("is the best of 3" in lead) == ("not told apart" not in marks) and "gated" in lead
        assert first.chance_best == max(of.chance_best for of in row.settings.values())


@pytest.mark.parametrize("benchmarks", [(), ("demo",)])
def test_a_grid_that_was_not_judged_says_what_to_do(tmp_path, capsys, benchmarks):
    """Without a benchmark there is no table to write; what was logged in training is shown all the same."""
    folder = write_grid(tmp_path / "g", {"head": ("linear", "mlp")}, {}, seeds=2, items=20, benchmarks=benchmarks)
    for results in folder.glob("cells/*/eval"):
        shutil.rmtree(results)
    assert main(["report", f"runs={folder}"]) == 0
    said, page = capsys.readouterr().out, Page(folder / "report.html").text
    word = "yet: 4 of 4 runs done" if benchmarks else "ablation.evaluate=[demo], or another benchmark: of runs that are done"
    assert word in said and word in page and "Validation accuracy" in page and "the first and the baseline" in page
    assert [(folder / f"table.{end}").exists() for end in ("csv", "md", "tex")] == [bool(benchmarks)] * 3
    assert ("table.csv" in said) == ("table.csv" in page) == bool(benchmarks)
    assert "Nothing was logged" not in page and "MissingNone" not in page
    if benchmarks:
        assert [row["missing"] for row in csv.DictReader((folder / "table.csv").open())][0].startswith("head=linear,run.seed=0: ")


def test_damaged_cells_are_told(tmp_path, capsys):
    place = write_grid(tmp_path / "g", {"head": ("linear",)}, {}, seeds=1, items=20)
    for text in ("{", "[]"):
        (place / "cells.json").write_text(text)
        assert main(["report", f"runs={place}"]) == 2, text
        assert "cells.json" in capsys.readouterr().err


def test_runs_that_were_not_judged_and_a_single_prompt(tmp_path):
    grid = grid_results.read(write_grid(tmp_path / "g", {"head": ("linear", "mlp")}, {}, seeds=2, items=2))
    assert grid.tables() == {} and unjudged(grid) == "Nothing can be compared: demo has items of a single prompt. Judge on more."
    runs = replace(grid, folder=None, benchmarks={}, expected=())
    assert "Judge each with basereward evaluate, model=" in unjudged(runs)


def test_seeds_that_scatter_by_nothing(tmp_path):
    """No '0.0 points' beside deviations that are printed with one digit."""
    grid = grid_results.read(write_grid(tmp_path / "g", {"head": ("linear", "mlp")}, {}, seeds=2, items=40))
    (found,) = grid.tables().values()
    same = replace(found, seed_deviation=0.0004)
    assert scatter(same) == "; seeds scatter by no more than their items explain"
    assert scatter(replace(found, seed_deviation=0.012)).endswith("one seed's accuracy scatters by 1.2 points")
    assert scatter(replace(found, knows_seeds=False)) == ""
