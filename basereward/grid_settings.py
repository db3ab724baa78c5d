"""Runs that differ by seeds and keys of their configs -> settings with names, without the folder of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basereward.checkpoint import FINAL
from basereward.errors import ConfigError
from basereward.grids.values import label
from basereward.run_directory import CONFIG, FREE_ON_RESUME, flat

REPLICATE = "run.seed"
TARGET = "_target_"


@dataclass(frozen=True)
class Listed:
    """What a list of runs comes to.

    Attributes:
        factors: key -> its values. settings: name -> value of each factor.
        runs: (name, folder, setting, replicate) each.
    """

    name: str
    factors: Mapping[str, Sequence[str]]
    settings: Mapping[str, Mapping[str, str]]
    runs: Sequence[tuple[str, Path, str, str | None]]
    replicate: str = REPLICATE


def setting_name(setting: Mapping[str, str]) -> str:
    """A setting in few words: the value of a single factor, else each with the end of its key that tells it from the others.

    >>> setting_name({"head": "mlp"}), setting_name({"head": "mlp", "optim.lr": "1e-5"}), setting_name({})
    ('mlp', 'head=mlp lr=1e-5', 'all runs')
    """
    if len(setting) == 1:
        return next(iter(setting.values()))
    return " ".join(f"{short}={setting[key]}" for key, short in short_keys(list(setting)).items()) or "all runs"


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Key -> its last part, or all of it where two end alike."""
    ends = [key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends)}


def listed_runs(folders: Sequence[Path]) -> Listed:
    """Settings of runs by their configs: the keys in which they differ are the factors, ``run.seed`` is the replicate.

    A part of the model (head, loss) is one factor under its name, and of factors that change together the first stands for all.

    Raises:
        ConfigError: a folder without a config, or two runs of one setting and seed.
    """
    folders = [folder.parent if folder.name == FINAL else folder for folder in folders]
    configs = [_parts(_config(folder)) for folder in folders]
    keys = dict.fromkeys(key for config in configs for key in config)
    derived = (*FREE_ON_RESUME, "run.dir")
    differing = [key for key in keys if key not in derived and len({config.get(key) for config in configs}) > 1]
    seeds = [config.get(REPLICATE) for config in configs]
    # Other seeds that are told by the run's are the replicate too.
    differing = [key for key in differing if [config.get(key) for config in configs] != seeds]
    factors = {key: list(dict.fromkeys(config.get(key, "null") for config in configs)) for key in _distinct(differing, configs)}
    settings = [{key: config.get(key, "null") for key in factors} for config in configs]
    names = [setting_name(setting) for setting in settings]
    _refuse_twice(folders, names, seeds)
    runs = [(str(folder), folder, name, seed) for folder, name, seed in zip(folders, names, seeds)]
    return Listed(", ".join(factors) or "runs", factors, dict(zip(names, settings)), runs)


def _config(folder: Path) -> Mapping[str, Any]:
    import yaml

    try:
        return yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(
            f"runs: expected the folder of a grid, or runs with {CONFIG}; found none in {folder} ({reason}); correct the path"
        ) from error


def _parts(config: Mapping[str, Any]) -> dict[str, str]:
    """Dotted key -> value as text; a part of the model or of the optimizer stands under its own name, with its arguments."""
    found = {}
    for key, node in config.items():
        if isinstance(node, Mapping) and TARGET in node:
            given = ", ".join(f"{name}={label(value)}" for name, value in node.items() if name != TARGET and value is not None)
            found[key] = f"{str(node[TARGET]).rpartition('.')[2]}({given})"
        else:
            found |= {name: label(value) for name, value in flat({key: node})}
    return found


def _distinct(keys: Sequence[str], configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Without keys that tell the runs apart exactly as an earlier one does."""
    seen, kept = set(), []
    for key in keys:
        values = [config.get(key) for config in configs]
        pattern = tuple(values.index(value) for value in values)
        if pattern not in seen:
            seen.add(pattern)
            kept.append(key)
    return kept


def _refuse_twice(folders: Sequence[Path], names: Sequence[str], seeds: Sequence[str | None]) -> None:
    first: dict[tuple[str, str | None], Path] = {}
    for folder, name, seed in zip(folders, names, seeds):
        other = first.setdefault((name, seed), folder)
        if other is not folder:
            raise ConfigError(
                f"runs: expected runs that differ by seed or by a key of their configs; found {other} and {folder} alike "
                f"({name}, {REPLICATE}={seed}); remove one"
            )
