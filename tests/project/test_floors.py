"""A module imports from lower floors, or from what stands before it on its own floor; so a reader can start at the bottom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "basereward"

# From the ground up; on a floor, in the order in which rooms may see each other. A folder is one room.
FLOORS = {
    "0 words": "errors problems turns spellings preferences archive_index archive_parts archives records config settings config_folders"
    " refusals compose"
    " named_recipes runtime ranks devices background text_tables",
    "1 maths": "losses heads pooling optimizers metrics",
    "2 data": "images fingerprints image_checks reading cards columns hub data_place"
    " nested screening recipes accounts data_recipes reward_files split store comparisons kept cleaning overlap shares against_paper"
    " data_settings sources ahead mixture demo",
    "3 encoding": "chat patches backbones frozen encode flops lengths tree planner packing prefix_keys feed",
    "4 model": "attention backbone kernels model parts adapters keeping",
    "5 run": "foreign adapter_folder checkpoint places scorer speed meters batches fitting budget workers"
    " callbacks averaging training_state saving trainer run_lock run_directory memory",
    "6 judge": "part_files samples prompt_groups scored stand_ins judging results_tables benchmarks overlap_beside results_folder"
    " diagnostics published significance grid_statistics",
    "7 stages": "exported report checks trainable start tied_rows train_data train_parts train evaluate grids ablate"
    " grid_settings grid_results grid_page diagnose score_input score export data_prepare data_check show data_show report_stage"
    " costs plan",
    "8 door": "cli",
}
ROOMS = [room for rooms in FLOORS.values() for room in rooms.split()]


def room_of(module: str) -> str:
    """``basereward.losses.labels`` -> ``losses``; the package itself is the door to ``load`` and has no room."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def own_imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of each import of this package, also those inside functions; those for type checkers alone are left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {n for block in ast.walk(tree) if is_type_checking(block) for n in ast.walk(block)}
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports here are absolute"
            names = [submodule(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.partition(".")[0] == "basereward")


def submodule(module: str, name: str) -> str:
    """``from basereward import scorer`` imports a module, ``from basereward.scorer import load`` a name of one."""
    place = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if place.is_dir() or place.with_suffix(".py").is_file() else module


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def violations(module: str, file: Path) -> list[str]:
    here = room_of(module)
    found = []
    for line, imported in own_imports(file):
        there = room_of(imported)
        if there in ROOMS and there != here and ROOMS.index(there) > ROOMS.index(here):
            found.append(f"{file.relative_to(ROOT)}:{line}: {here} imports {there}, which stands above it")
    return found


def sources() -> dict[str, Path]:
    found = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
    found |= {f"basereward.{module_name(file)}": file for file in sorted((ROOT / "data_recipes").glob("*.py"))}
    return {module: file for module, file in found.items() if room_of(module)}


def test_every_module_has_a_floor():
    unplaced = {room_of(module) for module in sources()} - set(ROOMS)
    assert not unplaced, f"give these a place in FLOORS: {sorted(unplaced)}"
    gone = set(ROOMS) - {room_of(module) for module in sources()}
    assert not gone, f"these stand in FLOORS and not in the tree: {sorted(gone)}"


@pytest.mark.parametrize("module", sources())
def test_imports_point_downward(module):
    assert not violations(module, sources()[module])


def test_an_upward_import_is_seen(tmp_path, monkeypatch):
    file = tmp_path / "errors.py"
    (tmp_path / "basereward").mkdir()
    (tmp_path / "basereward" / "scorer.py").touch()
    file.write_text("def late():\n    from basereward.trainer import RewardTrainer\n    from basereward import scorer\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert len(violations("basereward.errors", file)) == 2


def test_a_room_does_not_import_its_own_door():
    """A file inside a folder that imports the folder's ``__init__`` works only in one order of imports."""
    for module, file in sources().items():
        folder = module.rpartition(".")[0]
        if folder != "basereward" and file.name != "__init__.py":
            assert folder not in {name for _, name in own_imports(file)}, f"{file}: import from the file, not from {folder}"
