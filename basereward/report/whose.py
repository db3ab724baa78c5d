"""Results in a run's folder -> whose they are: the run's final model's, or those of other weights, which the page says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from basereward.checkpoint import FINAL
from basereward.results_folder import CHECKPOINTS, model_file_names
from basereward.runtime import file_hash

EARLIER = "weights that are no longer here"


@dataclass
class Final:
    """A run's final model, by its files. A file is read once, however many results are asked about.

    Args:
        run_dir: the run.
        trained_as: its directory when it was trained, as its config has it; None where that is not known.
    """

    run_dir: Path
    trained_as: str | None = None
    _hashes: dict[str, str] = field(default_factory=dict)

    def others(self, results: Mapping[str, Any], written: float) -> str:
        """Which other weights the results are of, in words; empty for those of the final model, and where the results do not say.

        Args:
            results: the content of results.json.
            written: when, in seconds since the epoch.
        """
        model, files = results.get("model"), results.get("model_files")
        if not isinstance(model, str):
            return ""
        place = self._inside(model)
        if place is not None and place.parts[:1] == (CHECKPOINTS,):
            return place.name
        if isinstance(files, Mapping) and files and self._is(files, written):
            return ""
        if place is None:
            return f"another model: {Path(model).parent if Path(model).name == FINAL else model}"
        return EARLIER if files and self._names() else ""

    def _inside(self, model: str) -> Path | None:
        """Where in this run the model lay; None for one that lay elsewhere."""
        for path, base in ((Path(model).resolve(), self.run_dir.resolve()), (Path(model), Path(self.trained_as or self.run_dir))):
            if path.is_relative_to(base):
                return path.relative_to(base)
        return None

    def _is(self, files: Mapping[str, str], written: float) -> bool:
        """Whether the final model has these files.

        Small ones are compared by hash, and the probe among them holds rewards of the weights. The weights themselves can be many
        gigabytes: they are read only where they were touched after the results were written.
        """
        names = self._names()
        small = [name for name in names if not name.endswith(".safetensors") or self._touched(name) >= written]
        return set(names) == set(files) and all(self._hash(name) == files[name] for name in small)

    def _names(self) -> list[str]:
        return model_file_names(self.run_dir / FINAL)

    def _touched(self, name: str) -> float:
        """When; a copy that keeps the time of its content still shows when it was made."""
        status = (self.run_dir / FINAL / name).stat()
        return max(status.st_mtime, status.st_ctime)

    def _hash(self, name: str) -> str:
        if name not in self._hashes:
            self._hashes[name] = file_hash(self.run_dir / FINAL / name)
        return self._hashes[name]
