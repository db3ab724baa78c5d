"""Two evaluations of the same items: the difference, its interval and p by hand and by a reference, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from basereward import significance
from basereward.benchmarks.base import Benchmark
from basereward.benchmarks.best_of_n import BestOfN
from basereward.benchmarks.custom import CustomBenchmark
from basereward.errors import DataError
from basereward.metrics import difference_interval, mcnemar_exact
from basereward.samples import Sample
from basereward.significance import Other, beside_other, compared, other_run

DATA = "sha256:1"


def of(name: str, version: str = DATA) -> Benchmark:
    """A benchmark of which nothing but its name and version is asked."""
    made = Benchmark()
    made.name, made.version = name, version
    return made


def items(right: str, *, categories: str = "", groups: str = "", **more) -> list[Sample]:
    """One pair a letter: `r` right, `w` wrong, `t` a tie, `f` failed."""
    rewards = {"r": (1.0, 0.0), "w": (0.0, 1.0), "t": (1.0, 1.0), "f": None}
    return [
        Sample(f"i{k}", (categories or "x" * len(right))[k], groups[k] if groups else f"g{k}", "", ((0, 1),), (3, 4),
               rewards[letter], **more)
        for k, letter in enumerate(right)
    ]  # fmt: skip


def test_p_is_the_binomial_test():
    """1 and 5: 2 * (1 + 6) / 2^6 = 14 / 64."""
    assert mcnemar_exact(1, 5) == mcnemar_exact(5, 1) == 14 / 64
    assert mcnemar_exact(0, 0) == mcnemar_exact(3, 3) == 1.0
    assert mcnemar_exact(0, 10) == 2 / 1024
    assert 0 < mcnemar_exact(400, 600) < 1e-9 and mcnemar_exact(5000, 5000) == 1.0


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 5), (0, 7), (12, 30), (100, 140), (3, 2)])
def test_p_against_scipy(only_a, only_b):
    stats = pytest.importorskip("scipy.stats")
    assert mcnemar_exact(only_a, only_b) == pytest.approx(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue, rel=1e-9)


def test_interval_of_independent_pairs_is_the_normal_one():
    """400 pairs: 60 better, 20 worse, so a mean of 0.1 and a variance of 80 / 400 - 0.01 = 0.19: 1.96 sqrt(0.19 / 400) = 0.0427."""
    differences = [1] * 60 + [-1] * 20 + [0] * 320
    low, high = difference_interval(differences, [str(k) for k in range(400)], draws=4000)
    assert (high - low) / 2 == pytest.approx(0.0427, rel=0.08) and (high + low) / 2 == pytest.approx(0.1, abs=0.005)


def test_pairs_of_one_prompt_stay_together():
    """Four pairs alike for each of 100 prompts: twice as wide as 400 prompts."""
    differences = np.repeat([1] * 15 + [-1] * 5 + [0] * 80, 4).tolist()
    together = difference_interval(differences, [str(k // 4) for k in range(400)], draws=4000)
    apart = difference_interval(differences, [str(k) for k in range(400)], draws=4000)
    assert (together[1] - together[0]) / (apart[1] - apart[0]) == pytest.approx(2, rel=0.08)


def test_where_all_draws_are_alike_the_interval_is_not_a_point():
    """20 prompts: 0.025 ** (1 / 20) = 0.8316."""
    groups = [str(k) for k in range(20)]
    assert difference_interval([0] * 20, groups) == pytest.approx((-0.1684, 0.1684), abs=1e-4)
    assert difference_interval([1] * 20, groups) == pytest.approx((0.8316, 1.0), abs=1e-4)
    assert difference_interval([-1] * 20, groups) == pytest.approx((-1.0, -0.8316), abs=1e-4)
    assert all(np.isnan(difference_interval([], [])))


def test_pairing_is_narrower_than_two_intervals_apart():
    """Both are right on the same half; a tenth differs."""
    here, there = "r" * 110 + "w" * 90, "r" * 100 + "w" * 100
    low, high = compared(items(here), items(there))["interval_95"]
    assert 0 < low < 0.05 < high < 0.09


def test_counts_by_hand():
    """Ties and failures are not right: here r r w t f, there r w r w r."""
    found = compared(items("rrwtf", categories="aabbb"), items("rwrwr", categories="aabbb"))
    assert (found["n"], found["only_here"], found["only_there"]) == (5, 1, 2)
    assert found["accuracy"] == 0.4 and found["other_accuracy"] == 0.6 and found["difference"] == pytest.approx(-0.2)
    assert found["mcnemar_p"] == 1.0
    assert found["categories"]["a"]["difference"] == 0.5 and found["categories"]["b"]["difference"] == pytest.approx(-2 / 3)
    assert list(found["categories"]) == ["a", "b"] and found["categories"]["b"]["n"] == 3


def test_items_are_matched_by_id():
    here, there = items("rrwwrw"), items("rwwwrr")
    assert compared(here, there[::-1]) == compared(here, there)


def test_a_reversed_comparison_has_the_other_sign():
    here, there = items("rrrwwrrr"), items("rwrwrwwr")
    one, other = compared(here, there), compared(there, here)
    assert one["difference"] == -other["difference"] and one["mcnemar_p"] == other["mcnemar_p"]
    assert one["only_here"] == other["only_there"] == 3


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (items("rr"), "item i2: .*no such item"),
        (items("rrrr"), "3 here and 4 there"),
        (items("rrr", placeholders=1), "item i0: .*generated pictures differ"),
    ],
)
def test_other_items_are_refused(others, message):
    with pytest.raises(DataError, match=message):
        compared(items("rrr"), others)


def test_what_is_printed():
    found = compared(items("rrwr", groups="aabb"), items("rwww", groups="aabb"))
    text = beside_other(found, Other(Path("there"), {"model": "runs/b"}, ()))
    assert "against there (runs/b)" in text and "4 pairs share 2 prompts" in text
    row = next(line for line in text.splitlines() if line.startswith("all"))
    assert row.split()[:5] == ["all", "4", "75.0", "25.0", "+50.0"] and row.split()[-3:] == ["2", "0", "0.5"]
    apart = beside_other(compared(items("rw"), items("rw")), Other(Path("there"), {}, ()))
    assert "share" not in apart


# Where the other results are


def kept(folder: Path, name: str = "pairs", version: str = DATA, right: str = "rw") -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"benchmark": name, "version": version, "images": "read", "model": "m"}))
    (folder / "samples.jsonl").write_text("".join(sample.line() for sample in items(right)))
    return folder


@pytest.mark.parametrize("given", ["run", "run/final", "run/eval/pairs", "run/eval"])
def test_results_are_found_in_a_folder_a_run_or_a_group(tmp_path, given):
    folder = kept(tmp_path / "run" / "eval" / "pairs")
    (tmp_path / "run" / "final").mkdir()
    found = other_run(str(tmp_path / given), of("pairs"))
    assert found.folder == folder and found.samples == items("rw")


def test_results_on_a_second_version_stand_beside_the_first(tmp_path):
    kept(tmp_path / "run" / "eval" / "pairs")
    second = kept(significance.beside_it(tmp_path / "run" / "eval" / "pairs", "sha256:2"), version="sha256:2")
    assert other_run(str(tmp_path / "run"), of("pairs", "sha256:2")).folder == second


def test_other_versions_and_benchmarks_are_refused(tmp_path):
    kept(tmp_path / "run" / "eval" / "pairs")
    with pytest.raises(DataError, match=r"expected results of pairs, version sha256:9.*has version sha256:1"):
        other_run(str(tmp_path / "run"), of("pairs", "sha256:9"))
    with pytest.raises(DataError, match=r"expected a folder with results.json of demo.*found pairs in"):
        other_run(str(tmp_path / "run" / "eval" / "pairs"), of("demo"))
    with pytest.raises(DataError, match="found none in"):
        other_run(str(tmp_path / "nowhere"), of("pairs"))


# The command that a refusal gives


def model_at(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def told(given: Path, benchmark: Benchmark) -> str:
    with pytest.raises(DataError) as error:
        other_run(str(given), benchmark)
    return str(error.value)


def test_the_command_names_the_file_of_ones_own(tmp_path):
    model_at(tmp_path / "run" / "final")
    file = str(tmp_path / "good.jsonl")
    asked = f"basereward evaluate model={tmp_path / 'run'} benchmark="
    assert told(tmp_path / "run", CustomBenchmark(file)).endswith(f"{asked}custom benchmark.path={file}")
    assert told(tmp_path / "run", CustomBenchmark(file, name="x")).endswith(f"benchmark.path={file} benchmark.name=x")
    assert told(tmp_path / "run", BestOfN(file)).endswith(f"{asked}best_of_n benchmark.path={file}")
    assert told(tmp_path / "run", of("demo")).endswith(f"{asked}demo")


def test_the_command_names_the_model_and_not_a_folder_of_results(tmp_path):
    model_at(tmp_path / "run" / "final")
    folder = kept(tmp_path / "run" / "eval" / "pairs")
    assert "model=m benchmark=demo out=<folder>" in told(folder, of("demo"))
    assert f"model={tmp_path / 'run'} benchmark=demo" in told(tmp_path / "run" / "eval", of("demo"))
    apart = model_at(tmp_path / "model")
    assert told(apart, of("demo")).endswith(f"model={apart} benchmark=demo out=<folder>")


def test_no_command_is_given_for_what_is_no_model(tmp_path):
    model_at(tmp_path / "run_a" / "final")
    text = told(tmp_path / "run_b", of("demo"))
    assert "basereward evaluate" not in text and "did you mean 'run_a'?" in text


def test_results_of_a_checkpoint_are_found_by_the_checkpoint(tmp_path):
    place = model_at(tmp_path / "run" / "checkpoints" / "checkpoint-2")
    folder = kept(tmp_path / "run" / "eval_checkpoints" / "checkpoint-2" / "pairs")
    assert other_run(str(place), of("pairs")).folder == folder
