"""A grid's table as CSV, Markdown and LaTeX, and its page: what they say, that nothing from the data is markup, and how it looks."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import browser
from html_pages import Page
from made_grids import heads, scaled, write_grid
from safetensors.numpy import save_file

from basereward import grid_results
from basereward.cli import main
from basereward.grid_page.charts import against_baseline
from basereward.grid_page.files import latex
from basereward.grid_page.words import chance, verdict

ATTACK = "<b>50%_&|#</b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = heads(tmp_path_factory.mktemp("grids") / "heads", items=300)
    assert main(["report", f"runs={place}"]) == 0
    return place


@pytest.fixture(scope="module")
def crossed(tmp_path_factory) -> Path:
    place = scaled(tmp_path_factory.mktemp("grids") / "scaled", items=200)
    for cell in sorted((place / "cells").iterdir()):
        share = 30 if "head=mlp" in cell.name else 80
        sources = {"text": {"comparisons": share}, "pictures": {"comparisons": 100 - share}}
        (cell / "data_manifest.json").write_text(json.dumps({"mixture": {"sources": sources}}))
    settings = [
        {"setting": {"head": "mlp", "optim.lr": "1e-4"}, "mean": 0.8, "n": 3, "limit": 0.0, "goes_on": True},
        {"setting": {"head": "linear", "optim.lr": "1e-6"}, "mean": 0.65, "n": 3, "limit": 0.04, "goes_on": False},
    ]
    stopped = [f"head=linear,optim.lr=1e-6,run.seed={seed}" for seed in range(3)]
    rungs = [{"rung": 0, "step": 100, "scores": {}, "stopped": stopped, "settings": settings, "rule": "the best 50% go on"}]
    (place / "rungs.json").write_text(json.dumps(rungs))
    assert main(["report", f"runs={place}", "categories=true"]) == 0
    return place


def test_the_csv_has_every_number(folder):
    found = list(csv.DictReader((folder / "table.csv").open(encoding="utf-8")))
    table = grid_results.read(folder).tables()["demo"]
    whole = {row["setting"]: row for row in found if not row["category"]}
    assert list(whole) == list(table.settings) and len(found) == 7 * 4, "seven heads, all pairs and three categories"
    assert float(whole["mlp"]["mean"]) == table.settings["mlp"].mean
    assert float(whole["mlp"]["p_all"]) == table.settings["mlp"].difference.p_all
    assert (whole["mlp"]["runs"], whole["mlp"]["planned"], whole["linear"]["difference"]) == ("2", "3", "")
    assert whole["gated"]["missing"] == "head=gated,run.seed=1: not started"


def markdown_rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line.startswith("|")]


def test_markdown_says_the_same(folder):
    text = (folder / "table.md").read_text(encoding="utf-8")
    table = grid_results.read(folder).tables()["demo"]
    head, _, *found = markdown_rows(text)
    assert head == ["head", "runs", "demo", "demo, against linear", "demo, p", "demo, best"] and all(
        len(row) == 6 for row in found
    )
    of = {row[0].replace("\\", ""): row for row in found}
    best = table.settings[table.winner]
    assert of[table.winner][2] == f"**{100 * best.mean:.1f} ± {100 * best.deviation:.1f}**"
    assert of["mlp"][1] == "2 of 3" and of["linear"][3] == "baseline"
    assert text.splitlines()[0].replace("\\", "") == f"demo: {verdict(table)}"
    assert "Missing: head=mlp,run.seed=2 (demo): failed at step 120 of 300" in text


def unescaped(text: str) -> str:
    """LaTeX without its commands, escaped characters and mathematics."""
    return re.sub(r"\\[a-zA-Z]+|\\[&%$#_{}\\]|\$[^$]*\$", "", text)


def test_latex_is_whole(folder, crossed):
    for place in (folder, crossed):
        text = (place / "table.tex").read_text(encoding="utf-8")
        body = text.split("\\toprule")[1].split("\\bottomrule")[0]
        lines = [line for line in body.splitlines() if line.endswith("\\\\")]
        columns = len(re.search(r"begin\{tabular\}\{([lr]+)\}", text)[1])
        assert len(lines) > 7 and {line.count(" & ") for line in lines} == {columns - 1}
        assert ("\\resizebox" in text) == (columns > 7)
        left = unescaped("\n".join(text.splitlines()[1:]).replace("{!}{%", "{!}{"))
        assert not set("%$#_^~") & set(left) and left.isascii()
        assert left.count("{") == left.count("}")
        assert left.count("&") == len(lines) * (columns - 1)


def test_latex_of_any_text():
    assert latex(r"a_b & 5% {x} \y ~^<") == (
        r"a\_b \& 5\% \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{}\textless{}"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_compiles(crossed, tmp_path):
    document = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\\input{table}\\end{document}"
    shutil.copy(crossed / "table.tex", tmp_path / "table.tex")
    (tmp_path / "main.tex").write_text(document)
    done = subprocess.run(["pdflatex", "-halt-on-error", "main.tex"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_page_begins_with_who_wins(folder):
    page = Page(folder / "report.html")
    table = grid_results.read(folder).tables()["demo"]
    lead = verdict(table)
    assert page.text.split("basereward grid")[-1].removeprefix("heads").startswith(lead)
    assert chance(table.settings[table.winner].chance_best) in lead
    assert "2 of 21 runs have no results" in page.text and "OutOfMemoryError" in page.text


def test_the_page_of_a_crossed_grid_has_every_chart(crossed):
    text = Page(crossed / "report.html").text
    for title in ("every setting against head=linear lr=1e-6", "what each factor changes", "demo over lr", "accuracy by head and lr",
                  "what an epoch takes of each source", "Validation accuracy", "Stopped early",
                  "the best 50% go on", "By category"):  # fmt: skip
        assert title in text, title


def test_what_halving_stopped(crossed):
    rows = [row for row in Page(crossed / "report.html").cell_rows() if "goes on" in row or "stopped</strong>" in row]
    assert ["mlp lr=1e-4" in rows[0], "linear lr=1e-6" in rows[1]] == [True, True]
    assert "65.0%" in rows[1] and "\N{MINUS SIGN}15.0" in rows[1] and "\N{MINUS SIGN}4.0" in rows[1]


def test_verdicts():
    """Who is called the best, who is not, and what is said of single seeds."""
    from basereward.grid_statistics.comparison import compare

    generator, groups = np.random.default_rng(0), [str(k) for k in range(400)]
    easy = generator.random(400)
    good, middle, bad = ((easy < share).astype(int) ^ (generator.random((3, 400)) < 0.02) for share in (0.9, 0.7, 0.5))
    assert verdict(compare({"a": middle, "b": good, "c": bad}, groups, "a")).startswith("b is the best of 3 settings: ")
    same = [middle ^ (generator.random((3, 400)) < 0.05) for _ in range(2)]
    assert "No setting can be told to be the best of 2" in verdict(compare({"a": same[0], "b": same[1]}, groups, "a"))
    two = verdict(compare({"a": same[0], "b": same[1], "c": bad}, groups, "c"))
    assert "is ahead with" in two and f"but its lead over {'ab'.replace(two[0], '')} may be noise; the probability" in two
    single = verdict(compare({"a": bad[:1], "b": good[:1]}, groups, "a"))
    assert "every setting has one seed: whether a second seed would say the same is not known" in single
    assert "there is no other setting" in verdict(compare({"a": good}, groups, "a"))


def test_the_forest_is_drawn_where_the_numbers_are(folder):
    """Zero stands at the baseline, and the ends of a line are the ends of its interval."""
    table = grid_results.read(folder).tables()["demo"]
    drawn = str(against_baseline("demo", table, {}))
    zero = float(re.search(r'd="M([\d.]+) [^"]+" class="zero"', drawn)[1])
    ticks = [
        (float(x), float(text.replace("\N{MINUS SIGN}", "-")))
        for x, text in re.findall(r'<text x="([\d.]+)" y="\d+" text-anchor="middle">([^<]+)<', drawn)
    ]
    (x0, t0), (x1, t1) = ticks[0], ticks[-1]
    assert 10 < x0 < x1 < 350, "numbers of the axis stand within the 360 pixels of a phone"
    assert zero == pytest.approx(x0 + (0 - t0) / (t1 - t0) * (x1 - x0), abs=0.2)
    thin = [(float(a), float(b)) for a, b in re.findall(r'd="M([\d.]+) \d+H([\d.]+)" class="line thin', drawn)]
    order = sorted((name for name in table.settings if name != "linear"), key=lambda name: -table.settings[name].mean)
    assert len(thin) == 6
    for ends, name in zip(thin, order):
        for x, share in zip(ends, table.settings[name].difference.interval_all):
            assert x == pytest.approx(x0 + (100 * share - t0) / (t1 - t0) * (x1 - x0), abs=0.3)


def test_without_a_baseline_the_page_shows_accuracies(tmp_path):
    states = {f"head=linear,run.seed={seed}": {"state": "failed", "error": "x"} for seed in (0, 1)}
    folder = write_grid(tmp_path / "g", {"head": ("linear", "mlp", "gated")}, {}, seeds=2, items=30, states=states)
    assert main(["report", f"runs={folder}"]) == 0
    page = Page(folder / "report.html")
    assert "demo: every setting" in page.text and "against linear, which has no results" in page.text
    assert 'class="zero"' not in page.source


def test_nothing_from_the_data_is_markup(tmp_path):
    states = {f"head={ATTACK},run.seed=1": {"state": "failed", "error": ATTACK}}
    folder = write_grid(tmp_path / "g", {"head": ("linear", ATTACK)}, {}, seeds=2, items=20, states=states)
    assert main(["report", f"runs={folder}"]) == 0
    page = Page(folder / "report.html")
    assert ATTACK in page.text and not [
        attributes for attributes in page.all("b") if attributes.get("class") is None and ATTACK in str(attributes)
    ]
    assert "<b>50%" not in page.source


@pytest.mark.parametrize("width", [360, 1200])
def test_pages_fit_the_screen(folder, crossed, tmp_path, width):
    with browser(tmp_path / "profile") as tab:
        for place in (folder, crossed):
            tab.open(place / "report.html", width=width)
            needed, there = tab.widths()
            assert needed <= there and not tab.problems
            shown = tab.ask("document.querySelector('.lead').getBoundingClientRect().bottom")
            assert shown < 844, "who wins stands on the first screen"


def test_a_list_of_runs_as_a_table(folder, tmp_path, capsys):
    runs = [f"'{folder}/cells/head={head},run.seed={seed}'" for head in ("linear", "mlp2_tanh") for seed in (0, 1)]
    out = tmp_path / "t" / "page.html"
    assert main(["report", f"runs=[{','.join(runs)}]", "table=true", f"out={out}"]) == 0
    assert sorted(file.name for file in out.parent.iterdir()) == ["page.html", "table.csv", "table.md", "table.tex"]
    assert "Head(width=6)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table=true"], "table: expected several runs, or the folder of a grid"),
        (["baseline=mlp"], "baseline: expected the folder of a grid, or table=true"),
        (["categories=true"], "categories: expected the folder of a grid, or table=true"),
    ],
)
def test_what_is_refused_of_one_run(folder, words, message, capsys):
    run = f"runs=['{folder}/cells/head=linear,run.seed=0']"
    assert main(["report", run, *words]) == 2 and message in capsys.readouterr().err


def test_a_grid_stands_alone_and_other_tables_are_kept(folder, tmp_path, capsys):
    assert main(["report", f"runs=[{folder},{folder}/cells]", f"out={tmp_path}/x.html"]) == 2
    assert "expected the folder of one grid by itself" in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("mine")
    assert main(["report", f"runs={folder}", f"out={tmp_path}/x.html"]) == 2
    assert "found some of another" in capsys.readouterr().err and (tmp_path / "table.csv").read_text() == "mine"


def test_the_script_that_draws_grids(tmp_path):
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("made_grids.py")), str(tmp_path), "20"], check=False)
    assert done.returncode == 0 and len(list((tmp_path / "heads" / "cells").iterdir())) == 21


def titles(folder: Path) -> str:
    assert main(["report", f"runs={folder}"]) == 0
    return Page(folder / "report.html").text


def test_lines_over_ratios_and_sizes_of_backbones(tmp_path):
    """1-to-0.25 is a share of a fifth; backbones are drawn over the numbers of their parameters, where their final models are there."""
    ratios = write_grid(tmp_path / "r", {"mix": ("1-to-0", "1-to-0.25", "1-to-1")}, {}, seeds=2, items=20)
    assert "demo over mix" in titles(ratios)
    names = {"small": 10, "middle": 100, "large": 1000}
    sizes = write_grid(tmp_path / "b", {"backbone": tuple(names)}, {}, seeds=2, items=20)
    assert "demo over parameters" not in titles(sizes)
    for name, number in names.items():
        final = sizes / "cells" / f"backbone={name},run.seed=0" / "final"
        final.mkdir()
        save_file({"weight": np.zeros(number, dtype=np.float32)}, final / "model.safetensors")
    assert "demo over parameters" in titles(sizes) and "for ten times as much" in Page(sizes / "report.html").text


def test_factors_in_step_have_no_map_and_one_line(tmp_path):
    """Both are the same numbers: the second line would say nothing."""
    values = ("784", "3136", "12544")
    folder = write_grid(tmp_path / "z", {"a.max_pixels": values}, {}, seeds=2, items=20)
    file = folder / "cells.json"
    cells = json.loads(file.read_text())
    for cell in cells:
        cell["setting"]["a.min_pixels"] = cell["setting"]["a.max_pixels"]
    file.write_text(json.dumps(cells))
    text = titles(folder)
    assert "demo over max_pixels" in text and "demo over min_pixels" not in text and "accuracy by" not in text
