"""One page about a run, or about several beside one another.    basereward report runs=[runs/a,runs/b] out=comparison.html

Reads the files that training, evaluation and diagnosis left; no model is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from basereward.checkpoint import FINAL
from basereward.data_show import SUFFIXES
from basereward.errors import ConfigError
from basereward.places import check_file
from basereward.report import COMPARISON_KIND, KIND, PAGE, render, render_comparison
from basereward.report.document import kind_of
from basereward.results_folder import EVAL, RESULTS

# Any of these makes a folder one that has something to show.
LEFT_BY_RUNS = ("metrics.jsonl", "config.yaml", "report.json", FINAL, RESULTS, EVAL)


@dataclass
class ReportSettings:
    """Everything ``basereward report`` reads."""

    runs: list[str] = field(default_factory=list)
    """Run directories, or folders with the results of one evaluation; their order is that of the page."""
    out: str | None = None
    """The page, ending in .html. Of one run, its own report.html when null."""


SETTINGS = ReportSettings


def plan(settings: ReportSettings) -> str:
    """What would be read and written."""
    runs, out = check(settings)
    return f"plan: read {', '.join(map(str, runs.values()))}; write {out}"


def run(settings: ReportSettings) -> int:
    """Writes the page."""
    runs, out = check(settings)
    if len(runs) == 1:
        render(next(iter(runs.values())), out)
    else:
        render_comparison(runs, out)
    print(f"{out}: {', '.join(runs)}")
    return 0


def check(settings: ReportSettings) -> tuple[dict[str, Path], Path]:
    """(name on the page -> folder, the page); refuses what cannot be read or written.

    Raises:
        ConfigError: with the key.
    """
    if not settings.runs:
        raise ConfigError("runs: expected one or more folders, found none; write runs=[runs/a,runs/b]")
    folders = [_folder(given) for given in settings.runs]
    twice = [str(folder) for folder, count in Counter(folder.resolve() for folder in folders).items() if count > 1]
    if twice:
        raise ConfigError(f"runs: expected each folder once, found {twice[0]} more than once; remove it")
    runs = dict(zip(names(folders), folders))
    if settings.out is None and len(runs) > 1:
        raise ConfigError(f"out: expected the page of {len(runs)} runs, found none; add out=comparison.html")
    out = Path(settings.out) if settings.out is not None else folders[0] / PAGE
    _check_out(out)
    return runs, out


def _folder(given: str) -> Path:
    """The run of a path that may also name its final model.

    Raises:
        ConfigError: nothing of a run is there.
    """
    folder = Path(given).expanduser()
    if folder.name == FINAL and not any((folder / name).exists() for name in LEFT_BY_RUNS):
        folder = folder.parent
    if not any((folder / name).exists() for name in LEFT_BY_RUNS):
        found = "a folder without any of them" if folder.is_dir() else "no folder"
        raise ConfigError(f"runs: expected a folder with {', '.join(LEFT_BY_RUNS)}; found {found} at {given}; correct the path")
    return folder


def names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ from one another.

    >>> names([Path("a/seed0/eval"), Path("b/seed0/eval")])
    ['a/seed0/eval', 'b/seed0/eval']
    """
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        found = ["/".join(each[-length:]) for each in parts]
        if len(set(found)) == len(found):
            return found
    return [str(folder) for folder in folders]


def _check_out(out: Path) -> None:
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"out: expected a file ending in {' or '.join(SUFFIXES)}, found {out}; add out=page.html")
    check_file("out", out)
    if out.exists() and kind_of(out) not in (KIND, COMPARISON_KIND):
        raise ConfigError(
            f"out: expected a new file or an earlier page of this command, found {out}, which is something else; choose another name"
        )
