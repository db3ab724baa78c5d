"""Published percentages as counts, intervals without items, and the page that the repository holds of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from basereward.cli import main
from basereward.grid_statistics.proportions import (
    count_of,
    margins,
    most_discordant,
    newcombe_interval,
    seed_deviation_allowed,
    smallest_difference,
    unpaired_p,
)
from basereward.published import read_published

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "paper_tables.md"


@pytest.mark.parametrize("n", [25, 42, 46, 170])
@pytest.mark.parametrize("digits", [1, 2])
def test_every_count_is_found_again(n, digits):
    for k in range(n + 1):
        assert count_of(round(100 * k / n, digits), n, digits) == k
        assert count_of(int(100 * k / n * 10**digits) / 10**digits, n, digits) == k, "cut off"


def test_figures_that_are_no_counts():
    """46 prompts are 2.17 points apart: 28/46 = 60.87, 29/46 = 63.04; 23/37 = 62.16."""
    assert count_of(62.2, 46) is None and count_of(62.2, 37) == 23
    assert count_of(90.1, 170) is None and count_of(90.0, 170) == 153
    assert count_of(95.74, 42, 2) is None


# Newcombe 1998, Table II, method 10.
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090)), ((10, 10), (0, 20), (0.6791, 1.0)),
     ((5, 56), (0, 29), (-0.0381, 0.1926))],
)  # fmt: skip
def test_newcombes_own_examples(one, other, expected):
    assert newcombe_interval(one, other) == pytest.approx(expected, abs=1e-4)


def test_unpaired_p_is_the_score_test():
    """The chi-squared test of a table of two by two, without a correction."""
    table = np.array([[158, 12], [148, 22]])
    assert unpaired_p((158, 170), (148, 170)) == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    assert unpaired_p((10, 10), (10, 10)) == 1.0


def test_on_how_many_items_two_may_differ():
    """158 and 148 of 170: ahead by 10. With 12 that differ, 11 to 1, p = 2 * 13 / 4096 = 0.006; found again with scipy's binomial test."""
    share = most_discordant(158, 148, 170)
    m = round(share * 170)
    assert stats.binomtest((m - 10) // 2, m, 0.5).pvalue < 0.05 <= stats.binomtest((m - 8) // 2, m + 2, 0.5).pvalue
    assert most_discordant(158, 153, 170) is None, "5 to 0 has p = 0.0625"
    assert most_discordant(158, 152, 170) is not None, "6 to 0 has p = 0.03125"
    assert most_discordant(1000, 250, 1250) == 1.0
    assert most_discordant(158, 148, 170, share=0.05 / 6) < share


def test_what_a_seed_may_change_by_simulation():
    """At that deviation the difference of two single runs of one recipe is as large in one grid of twenty."""
    one, other = (956, 1250), (864, 1250)
    deviation = seed_deviation_allowed(one, other)
    generator, middle = np.random.default_rng(0), (956 + 864) / 2500
    shares = np.clip(middle + deviation * generator.standard_normal((2, 40_000)), 0, 1)
    drawn = generator.binomial(1250, shares) / 1250
    assert np.mean(np.abs(drawn[0] - drawn[1]) >= (956 - 864) / 1250) == pytest.approx(0.05, abs=0.006)
    assert seed_deviation_allowed((158, 170), (153, 170)) is None


def test_the_smallest_difference_is_found_four_times_in_five():
    gap = smallest_difference(0.8, 1250)
    generator = np.random.default_rng(1)
    a, b = (generator.binomial(1250, 0.8 + side * gap / 2, 4000) for side in (1, -1))
    p = [unpaired_p((int(k), 1250), (int(m), 1250)) for k, m in zip(a, b)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=0.03)
    assert smallest_difference(0.8, 1250, discordant=0.2, seed=0.01, seeds=3) < smallest_difference(
        0.8, 1250, discordant=0.2, seed=0.01
    )


def test_margins_of_other_items_have_no_pairing():
    found = margins((159, 170), (128, 153))
    assert found.discordant is None and found.seeds is not None and found.interval[0] > 0
    assert margins((159, 170), (128, 170), comparisons=6).interval_all[0] < margins((159, 170), (128, 170)).interval_all[0]


def test_figures_of_the_ablations_that_are_no_counts_are_marked_and_no_others():
    """Of MM-RLHF-RewardBench, whose pairs and prompts are few enough to tell."""
    published = read_published("ablations")
    for row in published.rows:
        for key in {"mm_rlhf_acc", "mm_rlhf_acc_plus"} & row.values.keys():
            is_count = count_of(row.values[key], published.sizes["legacy"][key]) is not None
            assert is_count == (key not in row.doubtful), (row.table, row.model, key)


def test_the_smaller_numbers_that_fit_are_the_only_ones():
    """Acc of all four InternVL rows is a count of 153 pairs, and of no other number from 20 to 200."""
    rows = [row for row in read_published("ablations").rows if str(row.table).startswith("Table 6") and row.fits]
    assert len(rows) == 4 and {row.fits["mm_rlhf_acc"] for row in rows} == {153}
    fitting = [n for n in range(20, 201) if all(count_of(row.values["mm_rlhf_acc"], n) is not None for row in rows)]
    assert fitting == [153]
    assert all(count_of(row.values["mm_rlhf_acc_plus"], 37) is not None for row in rows)


def test_the_page_of_the_repository_is_what_the_command_writes(tmp_path, capsys):
    out = tmp_path / "paper_tables.md"
    assert main(["report", "published=ablations", f"out={out}"]) == 0
    assert out.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8"), (
        "basereward report published=ablations out=docs/paper_tables.md"
    )
    made = {file.name: file.read_bytes() for file in (tmp_path / "paper_tables").iterdir()}
    assert made == {file.name: file.read_bytes() for file in (ROOT / "docs" / "paper_tables").iterdir()}
    assert str(out) in capsys.readouterr().out


def test_what_the_page_says():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert (
        "On VL overall (1,250) it holds in 4 of 6 comparisons (over 1 layer, none; 2 layers, none; 3 layers, SiLU; 4 layers, SiLU)"
        in text
    )
    assert "On Acc (170) items alone explain every difference; 1 of 6 cannot be checked" in text
    assert "62.2 is no count of 46, is one of 37" in text and "90.1 is no count of 170" in text
    plots = re.findall(r"\]\((paper_tables/[^)]+\.svg)\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(plots) == sorted(f"paper_tables/{file.name}" for file in (ROOT / "docs" / "paper_tables").iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["published=ablation", "out=x.md"], "did you mean 'ablations'"),
        (["published=policies", "out=x.md"], "expected tables whose conclusions are written down"),
        (["published=ablations"], "out: expected a Markdown file"),
        (["published=ablations", "out=x.html"], "out: expected a Markdown file"),
        (["published=ablations", "out=x.md", "runs=[a]"], "runs: expected runs or published tables, found both"),
    ],
)
def test_what_is_refused(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *words]) == 2 and message in capsys.readouterr().err


def test_another_file_is_kept(tmp_path, capsys):
    (tmp_path / "x.md").write_text("mine")
    assert main(["report", "published=ablations", f"out={tmp_path}/x.md"]) == 2
    assert "which is something else" in capsys.readouterr().err and (tmp_path / "x.md").read_text() == "mine"
