"""A grid's folder: ``grid.yaml`` and ``cells.json``, which say what it is, and ``cells/<name>/``, one directory for each run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basereward.compose import to_yaml
from basereward.errors import ConfigError
from basereward.grids.cells import Cell, settings_of
from basereward.grids.judged import is_judged
from basereward.grids.spec import GridSpec
from basereward.grids.state import DONE, stored_state
from basereward.places import check_folder
from basereward.run_directory import CONFIG, differing_keys, is_finished
from basereward.run_lock import lock
from basereward.runtime import write_bytes, write_json

GRID, CELLS, RUNS, CACHE = "grid.yaml", "cells.json", "cells", "cache"


class Folder:
    """Where the files of a grid lie.

    Args:
        root: made absolute, so that a run is continued from wherever the command is given.
    """

    def __init__(self, root: str | Path):
        self.root = Path(os.path.abspath(root))

    def run_dir(self, cell: Cell | str) -> Path:
        """The directory of a cell's run."""
        return self.root / RUNS / (cell if isinstance(cell, str) else cell.name)

    def cells(self) -> list[Cell]:
        """The cells of ``cells.json``.

        Raises:
            ConfigError: there is no such file, or none that can be read.
        """
        rows = self._read_json(CELLS)
        try:
            return [_cell(row) for row in rows]
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise ConfigError(self._damaged(CELLS, error)) from error

    def spec(self) -> GridSpec:
        """The grid of ``grid.yaml``.

        Raises:
            ConfigError: there is no such file, or none that can be read.
        """
        import yaml

        try:
            return GridSpec(**yaml.safe_load((self.root / GRID).read_text(encoding="utf-8")))
        except OSError as error:
            raise ConfigError(self._no_grid(GRID, error)) from error
        except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
            raise ConfigError(self._damaged(GRID, error)) from error

    def is_begun(self) -> bool:
        """Whether a grid was started in it."""
        return (self.root / CELLS).is_file()

    def take(self) -> None:
        """Keeps other starts of the grid away until this process ends; a second one would count attempts and decide on rungs twice.

        Raises:
            ConfigError: another process has it (--status looks at it all the same), or it cannot be written.
        """
        check_folder("grid.dir", self.root)
        self.root.mkdir(parents=True, exist_ok=True)
        lock(self.root, key="grid.dir", does="runs a grid in")

    def write(self, spec: GridSpec, cells: Sequence[Cell]) -> None:
        """Writes what the grid is; runs that are done under an earlier name of their cell are given its name.

        Raises:
            ConfigError: a cell's directory holds a run of another config; nothing is written then.
        """
        self.refuse_other_runs(cells)
        self._rename(cells)
        write_bytes(self.root / GRID, to_yaml(spec).encode("utf-8"))
        write_json(self.root / CELLS, [cell.as_json() for cell in cells])
        for cell in cells:
            self.run_dir(cell).mkdir(parents=True, exist_ok=True)

    def renamed(self, cells: Sequence[Cell]) -> dict[str, Path]:
        """Cell -> the directory of a finished run of the same config that has another cell's name, or an old one."""
        names = {cell.name for cell in cells}
        spare = [path for path in sorted((self.root / RUNS).glob("*")) if path.name not in names]
        done = {state.hash: path for path in spare if (state := stored_state(path)).state == DONE}
        return {cell.name: done[cell.hash] for cell in cells if cell.hash in done and not (self.run_dir(cell) / CONFIG).exists()}

    def _rename(self, cells: Sequence[Cell]) -> None:
        for name, old in self.renamed(cells).items():
            place = self.run_dir(name)
            if place.is_dir():
                for left in place.iterdir():  # of a run that never began
                    left.unlink()
                place.rmdir()
            os.replace(old, place)

    def refuse_other_runs(self, cells: Sequence[Cell]) -> None:
        """Refuses a folder in which a cell's directory holds a run of another config.

        Raises:
            ConfigError: with the keys that differ.
        """
        for cell in cells:
            place, state = self.run_dir(cell), stored_state(self.run_dir(cell))
            if not (place / CONFIG).is_file() or state.hash == cell.hash:
                continue
            different = differing_keys(place, settings_of(cell, place))
            if different:
                listing = "\n".join(f"  {key}: {old!r} then, {new!r} now" for key, old, new in different[:8])
                raise ConfigError(
                    f"grid.dir: expected runs of this grid; found {place} to be of another config:\n{listing}\nUse another grid.dir, or "
                    "remove this run."
                )

    def _read_json(self, name: str) -> Any:
        try:
            return json.loads((self.root / name).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(self._no_grid(name, error)) from error
        except ValueError as error:
            raise ConfigError(self._damaged(name, error)) from error

    def _no_grid(self, name: str, error: OSError) -> str:
        reason = f" ({error.strerror})" if not isinstance(error, FileNotFoundError) else ""
        return (
            f"grid.dir: expected the folder of a grid with {name}; found none in {self.root}{reason}; the grid is not started yet, or "
            "lies in another folder: start it, or correct the path"
        )

    def _damaged(self, name: str, error: Exception) -> str:
        reason = " ".join(str(error).split())[:160]
        return (
            f"grid.dir: expected {self.root / name} as basereward ablate writes it; found it damaged ({reason}); the command that "
            "started the grid writes it anew and keeps the runs that are done"
        )


def _cell(row: Mapping[str, Any]) -> Cell:
    """A row of ``cells.json``.

    Raises:
        TypeError: it is none.
    """
    cell = Cell(**row)
    texts = [cell.name, cell.hash, *cell.overrides, *cell.setting, *cell.setting.values(), cell.replicate or ""]
    if not isinstance(cell.overrides, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"the row of {cell.name!r} holds other things than texts")
    return cell


def is_trained(run_dir: Path, cell: Cell) -> bool:
    """Whether a cell's run came to its end and has its final model still."""
    state = stored_state(run_dir)
    return state.state == DONE and state.hash == cell.hash and is_finished(run_dir)


def is_done(run_dir: Path, cell: Cell, wanted: Mapping[str, str], entries: Sequence[Any]) -> bool:
    """Whether a cell's run is finished and judged, and its results are whole.

    Args:
        wanted: benchmark -> hash of what it is to be judged with. entries: of ``evaluate``.
    """
    if not (is_trained(run_dir, cell) and wanted.items() <= stored_state(run_dir).judged.items()):
        return False
    return all(is_judged(run_dir, entry) for entry in entries)
