"""One page about a run, several beside one another, or a grid with its table.    basereward report runs=[runs/a,runs/b] out=comparison.html

Reads the files that training, evaluation, diagnosis and grids left; no model is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from basereward.checkpoint import FINAL
from basereward.data_show import SUFFIXES
from basereward.errors import ConfigError, near_matches
from basereward.grid_page.files import CSV, LATEX, MARKDOWN, write_tables
from basereward.grid_page.page import KIND as GRID_KIND
from basereward.grid_page.page import write_page
from basereward.grid_page.paper import TITLE, write_paper
from basereward.grid_page.words import unjudged, verdict
from basereward.grid_results import GridResults, read
from basereward.grids.folder import CELLS
from basereward.places import check_file
from basereward.published import FOLDER, read_published
from basereward.published import names as names_of_published
from basereward.report import COMPARISON_KIND, KIND, PAGE, render, render_comparison
from basereward.report.document import kind_of
from basereward.results_folder import EVAL, RESULTS

# Any of these makes a folder one that has something to show.
LEFT_BY_RUNS = ("metrics.jsonl", "config.yaml", "report.json", FINAL, RESULTS, EVAL, CELLS)
TABLES = (CSV, MARKDOWN, LATEX)


@dataclass
class ReportSettings:
    """Everything ``basereward report`` reads."""

    runs: Any = field(default_factory=list)
    """Run directories, or folders with the results of one evaluation; their order is that of the page. Or the folder of a grid."""
    out: str | None = None
    """The page, ending in .html. Of one run or grid, its own report.html when null."""
    table: bool = False
    """Of several runs that differ by seeds and keys of their configs: their table, as a grid has it. A grid's folder always has one."""
    baseline: str | None = None
    """Of a table: the setting that differences are taken to; the grid's own, or else the first, when null."""
    categories: bool = False
    """Of a table: columns for the benchmarks' categories too."""
    published: str | None = None
    """Instead of runs: published tables, such as ablations; out then is a Markdown file, with its plots in a folder beside it."""


SETTINGS = ReportSettings


def plan(settings: ReportSettings) -> str:
    """What would be read and written."""
    if settings.published is not None:
        return f"plan: read {FOLDER / settings.published}.yaml; write {check_published(settings)} and plots beside it"
    folders, out = check(settings)
    tables = f" and {', '.join(TABLES)} beside it" if is_table(settings) else ""
    return f"plan: read {', '.join(map(str, folders.values()))}; write {out}{tables}"


def run(settings: ReportSettings) -> int:
    """Writes the page, and of a grid the tables beside it."""
    if settings.published is not None:
        print(*write_paper(settings.published, check_published(settings)), sep="\n")
        return 0
    runs, out = check(settings)
    if is_table(settings):
        return _write_grid(read(list(runs.values()), baseline=settings.baseline), out, categories=settings.categories)
    if len(runs) == 1:
        render(next(iter(runs.values())), out)
    else:
        render_comparison(runs, out)
    print(f"{out}: {', '.join(runs)}")
    return 0


def _write_grid(grid: GridResults, out: Path, *, categories: bool) -> int:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_page(grid, out, categories=categories)
    tables = write_tables(grid, out.parent, categories=categories)
    for name, found in grid.tables().items():
        print(f"{name}: {verdict(found)}")
    if not grid.tables():
        print(unjudged(grid))
    lacking = {each.name for each, _, _ in grid.missing()}
    if lacking:
        print(f"{len(lacking)} of {len(grid.runs)} runs have no results, or not all; the page lists them")
    print(", ".join([str(out), *(table.name for table in tables)]))
    return 0


def is_table(settings: ReportSettings) -> bool:
    """Whether a table of settings is asked for: a grid's folder, or ``table=true``."""
    return settings.table or any((Path(given).expanduser() / CELLS).is_file() for given in _given(settings))


def _given(settings: ReportSettings) -> list[str]:
    """The folders, of which a single one may stand without brackets."""
    return [settings.runs] if isinstance(settings.runs, str) else list(settings.runs or [])


def check_published(settings: ReportSettings) -> Path:
    """The page about published tables.

    Raises:
        ConfigError: with the key.
    """
    with_claims = [name for name in names_of_published() if read_published(name).claims]
    if settings.published not in with_claims:
        found = near_matches(str(settings.published), with_claims)
        raise ConfigError(f"published: expected tables whose conclusions are written down, found {settings.published!r}; {found}")
    unused = [key for key in ("runs", "table", "baseline", "categories") if getattr(settings, key)]
    if unused:
        raise ConfigError(f"{unused[0]}: expected runs or published tables, found both; remove one")
    out = Path(settings.out or "")
    if out.suffix.lower() != ".md":
        raise ConfigError(f"out: expected a Markdown file for published tables, found {settings.out}; add out=tables.md")
    check_file("out", out)
    if out.exists() and not out.read_text(encoding="utf-8", errors="replace").startswith(TITLE):
        raise ConfigError(f"out: expected a new file or an earlier page of this command, found {out}, which is something else")
    return out


def check(settings: ReportSettings) -> tuple[dict[str, Path], Path]:
    """(name on the page -> folder, the page); refuses what cannot be read or written.

    Raises:
        ConfigError: with the key.
    """
    given = _given(settings)
    if not given or not all(isinstance(each, str) for each in given):
        raise ConfigError(f"runs: expected one or more folders, found {settings.runs or 'none'}; write runs=[runs/a,runs/b]")
    _check_table(settings, given)
    folders = [_folder(each) for each in given]
    twice = [str(folder) for folder, count in Counter(folder.resolve() for folder in folders).items() if count > 1]
    if twice:
        raise ConfigError(f"runs: expected each folder once, found {twice[0]} more than once; remove it")
    runs = dict(zip(names(folders), folders))
    if settings.out is None and len(runs) > 1:
        raise ConfigError(f"out: expected the page of {len(runs)} runs, found none; add out=comparison.html")
    out = Path(settings.out) if settings.out is not None else folders[0] / PAGE
    _check_out(out)
    if is_table(settings) and not out.exists() and any((out.parent / name).exists() for name in TABLES):
        raise ConfigError(
            f"out: expected a folder without {', '.join(TABLES)}, which a table's page has beside it; found some of another in "
            f"{out.parent}; choose another folder, or remove them"
        )
    return runs, out


def _check_table(settings: ReportSettings, given: Sequence[str]) -> None:
    """A grid stands alone, and what is said of a table needs one."""
    grids = [each for each in given if (Path(each).expanduser() / CELLS).is_file()]
    if grids and len(given) > 1:
        raise ConfigError(
            f"runs: expected the folder of one grid by itself, or runs; found {grids[0]} among {len(given)}; report it alone"
        )
    if settings.table and not grids and len(given) < 2:
        raise ConfigError("table: expected several runs, or the folder of a grid; found one run; add others to runs")
    unused = [key for key in ("baseline", "categories") if getattr(settings, key)]
    if unused and not is_table(settings):
        raise ConfigError(
            f"{unused[0]}: expected the folder of a grid, or table=true with several runs; found neither; remove it"
        )


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
        raise ConfigError(
            f"runs: expected a folder with one of {', '.join(LEFT_BY_RUNS)}; found {found} at {given}; correct the path"
        )
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
    if out.exists() and kind_of(out) not in (KIND, COMPARISON_KIND, GRID_KIND):
        raise ConfigError(
            f"out: expected a new file or an earlier page of this command, found {out}, which is something else; choose another name"
        )
