"""Where the results of an evaluation go, and what is there already."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from basereward import checkpoint
from basereward.errors import ConfigError
from basereward.part_files import part_of
from basereward.runtime import file_hash
from basereward.samples import SAMPLES

RESULTS, EVAL = "results.json", "eval"


def default_folder(model: str, name: str) -> Path:
    """``<run>/eval/<benchmark>`` for a run or its final model."""
    folder = Path(model)
    for run_dir in (folder, folder.parent):
        if (run_dir / checkpoint.FINAL).is_dir():
            return run_dir / EVAL / name
    raise ConfigError(f"out: {model} is not in a run directory here, so there is no place for the results; add out=<folder>")


def folder_of_version(out: Path, version: str, *, is_given: bool) -> Path:
    """``out``, or, where it holds results on other data and was not asked for by name, ``<out>-<8 digits of the version's hash>``.

    Raises:
        ConfigError: the folder that was asked for holds results on other data, or a ``samples.jsonl`` that no evaluation wrote.
    """
    found = version_in(out)
    if is_given and found is None and (out / SAMPLES).exists() and not part_of(out / SAMPLES)[1].exists():
        found = f"a {SAMPLES} that belongs to no {RESULTS}"
    if found in (None, version):
        return out
    if not is_given:
        return folder_of_version(beside_it(out, version), version, is_given=True)
    raise ConfigError(
        f"out: expected a new folder, or one with results on version {version}, found {out} with {found}; choose another folder, "
        "or remove this one"
    )


def beside_it(out: Path, version: str) -> Path:
    """The folder of results on a second version of the data."""
    return out.with_name(f"{out.name}-{hashlib.sha256(version.encode('utf-8')).hexdigest()[:8]}")


def version_in(out: Path) -> str | None:
    """Which data the results in a folder are about; ``None`` where there are none."""
    results_file = out / RESULTS
    if not results_file.is_file():
        return None
    try:
        return str(json.loads(results_file.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"a {RESULTS} of another kind"


def model_files(model: str | Path) -> dict[str, str]:
    """SHA-256 of each file of a model's folder that its rewards depend on; none for a Hub id."""
    folder = Path(str(checkpoint.resolve(model)))
    names = sorted(file.name for file in folder.glob("*.safetensors"))
    names += ["config.json", "tokenizer.json", "preprocessor_config.json", checkpoint.PROBE]
    return {name: file_hash(folder / name) for name in names if (folder / name).is_file()}
