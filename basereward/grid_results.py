"""The folder of a grid, or runs that differ by seeds and keys -> settings, what each run came to, and the numbers of a table.

from basereward import grid_results
grid = grid_results.read("runs/heads")
print(grid.tables()["demo"].winner)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from basereward.config_folders import folders
from basereward.errors import ConfigError, DataError, near_matches
from basereward.grid_settings import Listed, listed_runs, setting_name
from basereward.grid_statistics.comparison import Compared, compare
from basereward.grids.cells import baseline_of
from basereward.grids.folder import CELLS, RUNS, Folder
from basereward.grids.halving import RUNGS
from basereward.grids.state import DONE, FAILED, KILLED, PAUSED, RUNNING, STOPPED, WAITING, state_of
from basereward.judging import is_correct, judged_pairs
from basereward.results_folder import EVAL
from basereward.samples import SAMPLES, Sample, read_samples
from basereward.significance import matched, results_in


@dataclass(frozen=True)
class Run:
    """One run of a grid.

    Attributes:
        setting: name of its setting. replicate: such as its seed.
        state: of `grids.state`; done for a run that is read from a list. error: last line of what went wrong.
        step, steps: done and to do, where they are known.
    """

    name: str
    folder: Path
    setting: str
    replicate: str | None
    state: str = DONE
    error: str | None = None
    step: int | None = None
    steps: int | None = None

    @property
    def why_missing(self) -> str:
        """Why it has no results, in a few words."""
        at = f" at step {self.step}" + (f" of {self.steps}" if self.steps else "") if self.step is not None else ""
        return {
            FAILED: f"failed{at}: {self.error or 'no message'}",
            STOPPED: f"stopped{at}: {self.error or 'behind the others'}",
            RUNNING: f"running{at}",
            KILLED: f"killed{at}",
            PAUSED: f"waits{at}",
            WAITING: "not started",
        }.get(self.state, "not judged")


@dataclass(frozen=True)
class Judged:
    """One benchmark, in one version, with the same items for all settings.

    Attributes:
        right: setting -> (S, n) whether each pair is right, a row for each run that was judged.
        runs: setting -> names of these runs.
        groups, categories: (n,) of each pair.
        official: setting -> the headline of each run by the benchmark's own rule; empty where accuracy is it. rule: that rule.
    """

    name: str
    version: str
    right: Mapping[str, np.ndarray]
    runs: Mapping[str, Sequence[str]]
    groups: Sequence[str]
    categories: Sequence[str]
    official: Mapping[str, Sequence[float]]
    rule: str | None

    def compared(self, baseline: str, *, families: int = 1, category: str | None = None) -> Compared | None:
        """The numbers of all pairs, or of a category's; None where those belong to a single prompt, which tells nothing."""
        at = np.array([category in (None, each) for each in self.categories])
        groups = np.array(self.groups)[at]
        if len(set(groups.tolist())) < 2:
            return None
        right = {name: of[:, at] for name, of in self.right.items()}
        return compare(right, groups, baseline, families=families, chances=category is None)


@dataclass(frozen=True)
class GridResults:
    """Everything a table is made of.

    Attributes:
        factors: key -> its values, in the grid's order. settings: name -> value of each factor.
        baseline: name of the setting that differences are taken to.
        replicate: key over which means are formed.
        runs: of all settings, in the grid's order, whatever became of them.
        benchmarks: name -> results; of those that were expected and that no run has, `expected` tells.
        rungs: what successive halving decided (`grids.halving`), oldest first.
    """

    name: str
    folder: Path | None
    factors: Mapping[str, Sequence[str]]
    settings: Mapping[str, Mapping[str, str]]
    baseline: str
    replicate: str
    runs: Sequence[Run]
    benchmarks: Mapping[str, Judged]
    expected: Sequence[str] = ()
    rungs: Sequence[Mapping[str, Any]] = ()

    @cached_property
    def _tables(self) -> dict[str, Compared]:
        found = {name: each.compared(self.baseline, families=len(self.benchmarks)) for name, each in self.benchmarks.items()}
        return {name: each for name, each in found.items() if each is not None}

    @property
    def names(self) -> list[str]:
        """The benchmarks that were asked for, and those on which any run was judged."""
        return list(dict.fromkeys([*self.expected, *self.benchmarks]))

    def tables(self) -> dict[str, Compared]:
        """The numbers of each benchmark; the level of 95% is shared by all of its settings, and by the benchmarks."""
        return self._tables

    def categories(self, benchmark: str) -> dict[str, Compared]:
        """The numbers of each category of a benchmark, where it has several; corrected for settings, not for looking at many."""
        judged = self.benchmarks[benchmark]
        names = list(dict.fromkeys(judged.categories))
        found = {name: judged.compared(self.baseline, category=name) for name in names} if len(names) > 1 else {}
        return {name: each for name, each in found.items() if each is not None}

    def missing(self) -> Iterator[tuple[Run, str, str]]:
        """(run, benchmark, why) wherever a run has no results."""
        for name in self.names:
            judged = self.benchmarks.get(name)
            for run in self.runs:
                if judged is None or run.name not in judged.runs.get(run.setting, ()):
                    yield run, name, run.why_missing

    def runs_of(self, setting: str) -> list[Run]:
        """The runs of a setting."""
        return [run for run in self.runs if run.setting == setting]


def read(given: str | Path | Sequence[str | Path], *, baseline: str | None = None) -> GridResults:
    """A grid's folder, or a list of runs that differ by seeds and keys of their configs alone.

    Args:
        baseline: name of the setting that differences are taken to; the grid's own, or else the first, when None.

    Raises:
        ConfigError: no grid and no runs are there, or the baseline is none of the settings.
        DataError: results that do not go together, with the place.
    """
    places = [Path(given)] if isinstance(given, str | Path) else [Path(each) for each in given]
    if len(places) == 1 and (places[0] / CELLS).is_file():
        return _of_folder(places[0], baseline)
    return _of_list(listed_runs(places), baseline)


def _of_folder(root: Path, baseline: str | None) -> GridResults:
    folder = Folder(root)
    spec, cells = folder.spec(), folder.cells()
    if not cells:
        raise ConfigError(f"{root / CELLS}: expected the runs of a grid, found none; starting the same grid again writes it anew")
    factors: dict[str, list[str]] = {}
    for cell in cells:
        for key, value in cell.setting.items():
            factors.setdefault(key, []).extend([value] if value not in factors.get(key, []) else [])
    names = [setting_name(cell.setting) for cell in cells]
    runs = []
    for cell, name in zip(cells, names):
        state = state_of(folder.run_dir(cell))
        runs.append(
            Run(cell.name, root / RUNS / cell.name, name, cell.replicate, state.state, state.error, state.step, state.steps)
        )
    wanted = baseline_of(spec)
    own = next((name for cell, name in zip(cells, names) if wanted and wanted.items() <= cell.setting.items()), names[0])
    settings = dict(zip(names, (cell.setting for cell in cells)))
    chosen = _baseline(baseline, own, settings)
    judged, rungs = _judged(runs), _rungs(root / RUNGS)
    expected = _expected(spec.evaluate, judged)
    return GridResults(spec.name, root, factors, settings, chosen, spec.replicate or "", runs, judged, expected, rungs)


def _expected(evaluate: Sequence[Any], judged: Mapping[str, Judged]) -> list[str]:
    """Benchmarks that every run should have; those of a group are the ones that any run has, since the others were not at hand."""
    names = [str(each["benchmark"] if isinstance(each, Mapping) else each) for each in evaluate]
    return [name for name in names if not (judged and _is_group(name))]


def _is_group(name: str) -> bool:
    import yaml

    files = [folder / "benchmark" / f"{name}.yaml" for folder in folders()]
    return any("members" in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) for file in files if file.is_file())


def _of_list(found: Listed, baseline: str | None) -> GridResults:
    runs = [Run(*row) for row in found.runs]
    own = next(iter(found.settings))
    chosen = _baseline(baseline, own, found.settings)
    return GridResults(found.name, None, found.factors, found.settings, chosen, found.replicate, runs, _judged(runs))


def _baseline(given: str | None, own: str, settings: Mapping[str, object]) -> str:
    if given is not None and given not in settings:
        raise ConfigError(f"baseline: expected a setting, found {given!r}; {near_matches(given, settings)}")
    return own if given is None else given


def _rungs(file: Path) -> list[Mapping[str, Any]]:
    """What successive halving decided; nothing where the grid had none."""
    if not file.is_file():
        return []
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{file}: expected what successive halving decided, found what is not JSON ({error}); remove it"
        ) from error


def _judged(runs: Sequence[Run]) -> dict[str, Judged]:
    """The benchmarks on which any run was judged; one that was run in several versions by all is several."""
    found: dict[tuple[str, str], dict[str, tuple[Path, Mapping[str, Any]]]] = {}
    for run in runs:
        for place in sorted((run.folder / EVAL).glob("*")):
            if (here := results_in(place)) is not None:
                key = (str(here[1].get("benchmark")), str(here[1].get("version")))
                found.setdefault(key, {})[run.name] = here
    _refuse_versions(found)
    names = [name for name, _ in found]
    titles = {key: key[0] if names.count(key[0]) == 1 else next(iter(of.values()))[0].name for key, of in found.items()}
    return {titles[key]: _benchmark(titles[key], key[1], runs, of) for key, of in found.items()}


def _refuse_versions(found: Mapping[tuple[str, str], Mapping[str, tuple[Path, Mapping[str, Any]]]]) -> None:
    """Two runs of which each has only a version that the other lacks cannot be compared."""
    for (name, version), here in found.items():
        for (other_name, other_version), there in found.items():
            if name == other_name and version != other_version and not set(here) & set(there):
                one, other = next(iter(here.values()))[0], next(iter(there.values()))[0]
                raise DataError(
                    f"{other}: expected results on {name}, version {version}, as in {one}; found version {other_version}; "
                    "evaluate again on the same data"
                )


def _benchmark(name: str, version: str, runs: Sequence[Run], found: Mapping[str, tuple[Path, Mapping[str, Any]]]) -> Judged:
    """The runs' items in the order of the first."""
    first: list[Sample] = []
    rows: dict[str, list[np.ndarray]] = {}
    names: dict[str, list[str]] = {}
    official: dict[str, list[float]] = {}
    rule = None
    for run in runs:
        if run.name not in found:
            continue
        place, numbers = found[run.name]
        samples = read_samples(place / SAMPLES)
        first = first or samples
        rows.setdefault(run.setting, []).append(is_correct(judged_pairs(matched(first, samples, str(place / SAMPLES)))))
        names.setdefault(run.setting, []).append(run.name)
        if numbers.get("official"):
            rule = numbers["official"]["rule"]
            official.setdefault(run.setting, []).append(float(numbers["official"]["value"]))
    pairs = judged_pairs(first)
    right = {setting: np.stack(of) for setting, of in rows.items()}
    groups, categories = [pair.group for pair in pairs], [pair.category for pair in pairs]
    return Judged(name, version, right, names, groups, categories, official, rule)
