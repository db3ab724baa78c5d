"""Where YAML files are looked for: the toolkit's own folder, and the one of `--config-dir`; and which options each group has."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from basereward.errors import ConfigError, near_matches

FLAG = "--config-dir"
# A variable, because the processes that `data prepare` starts have to find the same files; in a shell it can be set for good.
VARIABLE = "BASEREWARD_CONFIG_DIR"


def config_folder() -> Path:
    """The toolkit's folder of YAML files, in the source tree or in the installed package."""
    return Path(str(importlib.resources.files("basereward.conf")))


@contextmanager
def looking_in(folder: str | None) -> Iterator[None]:
    """While this lasts, a folder of the user's is looked through too; None changes nothing.

    Raises:
        ConfigError: it holds no YAML file of a group, or one under a name that the toolkit has.
    """
    before = os.environ.get(VARIABLE)
    if folder is not None:
        os.environ[VARIABLE] = os.path.abspath(os.path.expanduser(folder))
    try:
        own_folder()
        yield
    finally:
        if before is not None:
            os.environ[VARIABLE] = before
        else:
            os.environ.pop(VARIABLE, None)


def own_folder() -> Path | None:
    """The user's folder of YAML files; None where none was named.

    Raises:
        ConfigError: as `looking_in`.
    """
    if not os.environ.get(VARIABLE):
        return None
    folder = Path(os.path.abspath(os.path.expanduser(os.environ[VARIABLE])))
    found = {group: _names(folder / group) for group in _group_names()}
    if not any(found.values()):
        there = sorted(file.name for file in folder.iterdir())[:8] if folder.is_dir() else "no such folder"
        raise ConfigError(
            f"{FLAG}: expected a folder with YAML files in folders named after their groups, such as {folder}/data/my_mix.yaml for "
            f"data=my_mix; found {there or 'nothing'}; the groups are {', '.join(found)}"
        )
    for group, names in found.items():
        if taken := sorted({*names} & {*_names(config_folder() / group)}):
            raise ConfigError(
                f"{FLAG}: expected new names in {folder / group}; found {taken[0]}.yaml, and {group}={taken[0]} is the toolkit's own; "
                "rename the file"
            )
    return folder


def folders() -> list[Path]:
    """All folders that are looked through, the toolkit's first."""
    own = own_folder()
    return [config_folder(), *([own] if own is not None else [])]


def options(group: str) -> list[str]:
    """Names that a config group offers: ``options("head")`` -> ["linear", "mlp"]."""
    return sorted(name for folder in folders() for name in _names(folder / group))


def groups() -> dict[str, list[str]]:
    """All config groups with their options."""
    return {name: options(name) for name in _group_names()}


def default_option(stage: str, group: str) -> dict[str, Any]:
    """The config node that a stage has for a group when none is chosen, without its interpolations resolved."""
    import yaml

    defaults = yaml.safe_load((config_folder() / f"{stage}.yaml").read_text(encoding="utf-8"))["defaults"]
    name = next(entry[group] for entry in defaults if isinstance(entry, dict) and group in entry)
    return yaml.safe_load((config_folder() / group / f"{name}.yaml").read_text(encoding="utf-8"))


def unknown_option(missing: str) -> str:
    """The message for a file that no folder has, such as ``data/my_mix``."""
    group, _, name = missing.rpartition("/")
    if not group:
        return f"{name}: no such config; {near_matches(name, options('.'))}"
    own = own_folder()
    looked = (
        f"; looked for in {own / group} too" if own is not None else f"; one of your own: {FLAG} DIR with DIR/{group}/{name}.yaml"
    )
    return f"{group}={name}: there is no such {group}; {near_matches(name, options(group))}{looked}"


def _group_names() -> list[str]:
    return [folder.name for folder in sorted(config_folder().iterdir()) if any(folder.glob("*.yaml"))]


def _names(folder: Path) -> list[str]:
    return [file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")]
