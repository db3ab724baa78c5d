"""Where the results of an evaluation go, and what is there already."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from basereward import checkpoint
from basereward.errors import ConfigError, near_matches
from basereward.part_files import part_of
from basereward.runtime import file_hash
from basereward.samples import SAMPLES

RESULTS, EVAL = "results.json", "eval"
CHECKPOINTS, CHECKPOINT_EVAL = "checkpoints", "eval_checkpoints"

log = logging.getLogger(__name__)


def home(model: str | Path) -> Path | None:
    """Where the results of a model lie in its run: ``<run>/eval`` for a run or its final model, ``<run>/eval_checkpoints/<name>`` for
    one of its checkpoints, so that the page of the run shows the final model alone; None for a model that is in no run.
    """
    folder = Path(model)
    for run_dir in (folder, folder.parent):
        if (run_dir / checkpoint.FINAL).is_dir():
            return run_dir / EVAL
    if folder.parent.name == CHECKPOINTS and (folder / "config.json").is_file():
        return folder.parent.parent / CHECKPOINT_EVAL / folder.name
    return None


def default_folder(model: str, name: str) -> Path:
    """The benchmark's folder in the `home` of the model.

    Raises:
        ConfigError: the model is in no run: a folder elsewhere, one that is not there, or a Hub id.
    """
    if (place := home(model)) is not None:
        return place / name
    folder = Path(model)
    if folder.exists():
        raise ConfigError(f"out: {model} is in no run, so there is no place for the results of its own; add out=<folder>")
    near = f"; {near_matches(folder.name, names)}" if (names := models_in(folder.parent)) else ""
    raise ConfigError(
        f"model: expected a run, a checkpoint or an exported folder; found no folder {model}{near}; correct it, or, if it is a model of "
        "the Hub, add out=<folder> for its results"
    )


def models_in(folder: Path) -> list[str]:
    """Names of the folders in a folder that hold a model or a run."""
    try:
        return sorted(
            place.name for place in folder.iterdir() if (place / checkpoint.FINAL).is_dir() or (place / "config.json").is_file()
        )
    except OSError:
        return []


def folder_of_version(out: Path, version: str, *, is_given: bool, overwrite: bool = False) -> Path:
    """``out``, or, where it holds results on other data and was not asked for by name, ``<out>-<8 digits of the version's hash>``.

    Args:
        overwrite: results on other data may be replaced in the folder that was asked for.

    Raises:
        ConfigError: the folder that was asked for holds results on other data, or files that no evaluation wrote.
    """
    found, is_ours = version_in(out), (out / RESULTS).is_file() and kept(out) is not None
    if is_given and found is None and (out / SAMPLES).exists() and not part_of(out / SAMPLES)[1].exists():
        found = f"a {SAMPLES} that belongs to no {RESULTS}"
    if found in (None, version) or (is_given and is_ours and overwrite):
        return out
    what = f"results on version {found}" if is_ours else found
    if not is_given:
        beside = beside_it(out, version)
        log.warning("%s holds %s; the results on version %s go to %s", out, what, version, beside)
        return folder_of_version(beside, version, is_given=True)
    replace = ", or replace them with overwrite=true" if is_ours else "; overwrite=true replaces evaluations alone"
    raise ConfigError(
        f"out: expected a new folder, or one with results on version {version}; found {out} with {what}; choose another folder{replace}"
    )


def check_model_of(out: Path, model: str, *, overwrite: bool) -> None:
    """Says so where results of another state of the model are replaced, and refuses to replace those of another model.

    Raises:
        ConfigError: without ``overwrite``.
    """
    before = kept(out)
    if before is None:
        return
    name, other = str(checkpoint.resolve(model)), before.get("model")
    files = model_files(model)
    if files == before.get("model_files") and (files or name == other):
        return
    if name != other and not overwrite:
        raise ConfigError(
            f"out: expected a new folder, or one with results of {name}; found {out} with those of another model, {other}; choose "
            "another folder, or replace them with overwrite=true"
        )
    log.info("%s: the results of %s are replaced", out, other if name != other else f"an earlier state of {name}")


def beside_it(out: Path, version: str) -> Path:
    """The folder of results on a second version of the data."""
    return out.with_name(f"{out.name}-{hashlib.sha256(version.encode('utf-8')).hexdigest()[:8]}")


def version_in(out: Path) -> str | None:
    """Which data the results in a folder are about; ``None`` where there are none."""
    if not (out / RESULTS).is_file():
        return None
    results = kept(out)
    return f"a {RESULTS} of another kind" if results is None else str(results["version"])


def kept(out: Path) -> dict[str, Any] | None:
    """The results in a folder; None where there are none, or something else bears their name."""
    try:
        results = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return results if isinstance(results, dict) and "version" in results else None


def model_files(model: str | Path) -> dict[str, str]:
    """SHA-256 of each file of a model's folder that its rewards depend on; none for a Hub id."""
    folder = Path(str(checkpoint.resolve(model)))
    return {name: file_hash(folder / name) for name in model_file_names(folder)}


def model_file_names(folder: Path) -> list[str]:
    """The files of a model's folder that its rewards depend on, weights first."""
    names = sorted(file.name for file in folder.glob("*.safetensors"))
    names += ["config.json", "tokenizer.json", "preprocessor_config.json", checkpoint.PROBE]
    return [name for name in names if (folder / name).is_file()]
