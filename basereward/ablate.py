"""Train and judge every cell of a grid.    basereward ablate ablation=heads_tiny"""

from __future__ import annotations

from collections.abc import Sequence

from basereward.config import build
from basereward.errors import ConfigError, DataError
from basereward.grids import command
from basereward.grids.cells import Cell, cells_of
from basereward.grids.folder import Folder, is_trained
from basereward.grids.halving import finish_by_rungs, read_halving
from basereward.grids.judged import absent
from basereward.grids.launchers.base import Launcher
from basereward.grids.running import Runs
from basereward.grids.search import check_library, read_search, run_search, spread, trial_cells
from basereward.grids.spec_checks import wanted_of
from basereward.grids.state import FAILED, State
from basereward.grids.status import states_of, status_text, summary
from basereward.problems import counted
from basereward.text_tables import table

SETTINGS = command.AblateSettings
read_words = command.read_grid


def plan(settings: command.AblateSettings) -> str:
    """The cells, and which of them would be skipped, continued or started."""
    folder, cells = Folder(settings.folder), first_cells(settings)
    folder.refuse_other_runs(cells)
    runs, launcher = make_runs(settings, folder, cells), make_launcher(settings)
    moved, states = folder.renamed(cells), states_of(folder, cells)
    skipped = {cell.name for cell in cells if runs.is_done(cell, moved.get(cell.name))}
    rows = [(cell.name, "skip: done" if cell.name in skipped else _would_be(folder, cell, states[cell.name])) for cell in cells]
    left = [cell for cell in cells if cell.name not in skipped]
    lines = [table(("run", "would be"), rows), launcher.script(runs.jobs(left)) if left else ""]
    if settings.spec.halving is not None:
        lines.append(f"halving: {read_halving(settings.spec.halving, cells).in_words}")
    if settings.spec.search is not None:
        lines.append("search: as many runs as these; which values it tries depends on what it finds")
    lines += [unjudged(settings), *(f"a start would be refused: {told}" for told in absent(settings.spec.evaluate))]
    return "\n".join(
        [*filter(None, lines), f"plan: {counted(len(left), 'run')} of {len(cells)} in {folder.root}; nothing was started"]
    )


def run(settings: command.AblateSettings) -> int:
    """Brings every run to its end that is not there; returns 1 when one failed."""
    folder, spec = Folder(settings.folder), settings.spec
    if settings.status:
        print(status_text(folder, folder.cells()))
        return 0
    launcher = make_launcher(settings)
    launcher.check()
    cells = first_cells(settings)
    if found := absent(spec.evaluate):  # before hours of training, not after them
        raise DataError("\n".join(found))
    runs = make_runs(settings, folder, cells)
    rule = read_halving(spec.halving, cells) if spec.halving is not None else None
    folder.take()
    if told := unjudged(settings):
        print(told, flush=True)
    if spec.search is not None:
        run_search(spec, read_search(spec.search), runs, launcher)
        return tell_end(folder, runs.cells)
    folder.write(spec, cells)
    if rule is not None:
        finish_by_rungs(runs, rule, launcher)
    else:
        runs.finish(launcher)
    return tell_end(folder, cells)


def unjudged(settings: command.AblateSettings) -> str:
    """A line where no benchmark is named, and the table of the grid would stay empty."""
    if settings.spec.evaluate:
        return ""
    return "no benchmark: the runs will be trained and not judged; add ablation.evaluate=[demo], or other names of conf/benchmark"


def first_cells(settings: command.AblateSettings) -> list[Cell]:
    """The cells of a grid; of a search, as many others, to be checked before anything runs.

    Raises:
        ConfigError: a grid that cannot be run.
    """
    spec = settings.spec
    if not (spec.factors or spec.search or spec.experiment or spec.base):
        raise ConfigError(
            "ablation: expected a grid; found none; name one (ablation=heads_tiny), or give factors (experiment=demo head=linear,mlp)"
        )
    if spec.search is None:
        return cells_of(spec)
    if spec.halving is not None:
        raise ConfigError(
            "ablation.halving: expected a grid of factors; found a search, which has no settings to compare at a rung"
        )
    check_library()
    return trial_cells(spec, spread(read_search(spec.search)))


def make_launcher(settings: command.AblateSettings) -> Launcher:
    """The launcher of the config.

    Raises:
        ConfigError: what it names is none.
    """
    launcher = build(settings.launcher, key="launcher")
    if not isinstance(launcher, Launcher):
        raise ConfigError(
            f"launcher._target_: expected a subclass of basereward.grids.launchers.base.Launcher; found {launcher!r}"
        )
    return launcher


def make_runs(settings: command.AblateSettings, folder: Folder, cells: Sequence[Cell]) -> Runs:
    """What is asked of the runs.

    Raises:
        ConfigError: ``grid.attempts`` below 1, or a benchmark that does not compose.
    """
    if settings.grid.attempts < 1:
        raise ConfigError(f"grid.attempts: expected a whole number from 1; found {settings.grid.attempts}; correct it")
    return Runs(folder, cells, wanted_of(settings.spec.evaluate), settings.grid.attempts, settings.spec.evaluate)


def tell_end(folder: Folder, cells: Sequence[Cell]) -> int:
    """Prints what failed and where to look; returns the exit code."""
    states = states_of(folder, cells)
    failed = [(name, state.error or "") for name, state in states.items() if state.state == FAILED]
    print(f"\n{summary(cells, states)}")
    if failed:
        print("failed; the same command tries again, and each run's log.txt tells more:")
        print("\n".join(f"  {name}: {error}" for name, error in failed))
    print(f"grid: {folder.root}   table: basereward report runs={folder.root}")
    return 1 if failed else 0


def _would_be(folder: Folder, cell: Cell, state: State) -> str:
    if is_trained(folder.run_dir(cell), cell):
        return "judged"
    return f"continued from step {state.step}" if state.step else "started"
