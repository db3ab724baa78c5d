"""What every recipe of a public dataset keeps; found by its YAML, so that a new one is held to it without a word here.

A recipe `conf/recipe/<name>.yaml` brings one file `tests/data/recipe_rows/<name>.py` with rows in the exact nested shape of the
real set:

    ROWS       list of rows; the first one is good. Written as JSON lines, or as Parquet where a row holds bytes.
    EXPECTED   {"used": n, "dropped": {reason: n}, "problems": {kind: n}}: what becomes of them. `dropped` is what the recipe leaves
               out, `problems` what it refuses: with on_error="fail" the reading then ends in these problems.
    check      optional: function of the comparisons, for what is particular to this set (markers, order, scores).
    PICTURES   optional: names of small pictures to be drawn, relative to the folder; `archive.zip::member` draws it into a zip.
    FILES      optional: {name: bytes, text or list of rows} to be written beside the rows.
    ROWS_FILE  optional: name of the file of ROWS (default rows.jsonl or rows.parquet); may lie in folders.
    PATH       optional: what the recipe gets as `path`, relative to the folder (default: the file of ROWS; "." is the folder).
    OPTIONS    optional: keys beside those of the YAML.

Everything is tested in a folder of its own, which is the current one; `picture(name)` gives the bytes of a drawn picture.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from recipe_pictures import picture

from basereward.accounts import Reader, read
from basereward.columns import fits, layouts
from basereward.compose import compose
from basereward.config import build, locate
from basereward.data_check import DataCheckSettings
from basereward.errors import DataError
from basereward.problems import BadRows
from basereward.recipes import Recipe

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "data" / "recipe_rows"
NODES = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "conf" / "recipe").glob("*.yaml"))
}
# `custom` is the user's own file in any spelling and `demo` is drawn: neither has columns to compare or a set to describe.
PUBLIC = sorted(
    name for name, node in NODES.items() if node["_target_"].startswith("basereward.data_recipes.") and name != "custom"
)


def fixture(name: str):
    spec = importlib.util.spec_from_file_location(f"recipe_rows_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holds_bytes(value: object) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, bytes) or any(map(holds_bytes, inner))


def write_rows(file: Path, rows: list) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".json":
        file.write_text(json.dumps(rows))
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write(module, folder: Path, rows: list) -> Path:
    """Writes all that the fixture says into the folder; returns the file of the rows."""
    name = getattr(module, "ROWS_FILE", "rows.parquet" if holds_bytes(rows) else "rows.jsonl")
    write_rows(folder / name, rows)
    pictures = getattr(module, "PICTURES", [])
    for archive in {ref.partition("::")[0] for ref in pictures if "::" in ref}:
        (folder / archive).unlink(missing_ok=True)
    for number, ref in enumerate(pictures):
        archive, mark, member = ref.partition("::")
        target = folder / archive
        target.parent.mkdir(parents=True, exist_ok=True)
        if mark:
            with zipfile.ZipFile(target, "a") as file:
                file.writestr(member, picture(number))
        else:
            target.write_bytes(picture(number))
    for other, content in getattr(module, "FILES", {}).items():
        if isinstance(content, list):
            write_rows(folder / other, content)
        else:
            (folder / other).parent.mkdir(parents=True, exist_ok=True)
            (folder / other).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def make(name: str, folder: Path, rows: list | None = None) -> Recipe:
    module = fixture(name)
    file = write(module, folder, module.ROWS if rows is None else rows)
    path = folder / module.PATH if hasattr(module, "PATH") else file
    return build(NODES[name] | getattr(module, "OPTIONS", {}) | {"path": str(path)}, source=name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", PUBLIC)
def test_the_card_counts_responses_and_pictures(name, folder):
    """A plan made before a row is there believes it."""
    recipe = make(name, folder)
    comparisons = read(recipe, on_error="skip").comparisons
    responses, pictures = recipe.card.responses, recipe.card.pictures
    counts = {len(item.responses) for item in comparisons}
    assert responses is None or (2 in counts if responses == 2 else max(counts) > 2)
    assert pictures is None or bool(pictures) == any(item.images for item in comparisons)


@pytest.mark.parametrize("name", PUBLIC)
def test_it_composes_and_its_card_is_filled_in(name):
    node = dict(compose("data_check", [f"recipe={name}", "path=some/rows.jsonl"], DataCheckSettings).recipe)
    recipe, text = build(node), (ROOT / "conf" / "recipe" / f"{name}.yaml").read_text(encoding="utf-8")
    card = recipe.card
    assert card.hub_id or card.origin, "hub_id, or where else others find it"
    assert card.licence and card.row and card.quirks, card
    assert card.verified_on in ("real rows", "reference only")
    assert (card.verified_date is not None) == (card.verified_on == "real rows"), "the day on which real rows were read"
    for key in ("hub_id", "revision", "rows_expected"):
        line = next((line for line in text.splitlines() if line.strip().startswith(f"{key}:")), "")
        assert line, f"{key}: is not on the card"
        assert not ("null" in line or "{}" in line) or "#" in line, f"{key}: null or none says why in a comment"


@pytest.mark.parametrize("name", PUBLIC)
def test_it_names_its_columns_in_known_kinds(name):
    target = locate(NODES[name]["_target_"])
    assert layouts(target.columns), f"{target.__name__}.columns"
    for layout in layouts(target.columns):
        for kind in layout.values():
            fits(None, kind)  # raises for an unknown kind


@pytest.mark.parametrize("name", PUBLIC)
def test_rows_of_its_shape_become_what_is_expected(name, folder):
    module = fixture(name)
    recipe, expected = make(name, folder), module.EXPECTED
    data = read(recipe, on_error="skip")
    dropped = Counter(expected.get("dropped", {})) + Counter(expected.get("problems", {}))
    assert data.manifest["dropped"] == dict(sorted(dropped.items()))
    assert (data.manifest["used"], len(data.comparisons)) == (expected["used"], expected["used"])
    assert data.manifest["rows_read"] == expected["used"] + sum(dropped.values())
    assert json.loads(json.dumps(data.manifest)) == data.manifest
    kinds = {problem.where: problem.kind for problem in reversed(data.problems)}
    assert Counter(kinds.values()) == Counter(expected.get("problems", {}))
    for item in data.comparisons:
        assert item.source == name and item.id and item.where and len(item.responses) >= 2 and (item.pairs or item.ties)
        assert item.messages[-1]["role"] == "user" and item.group
    if hasattr(module, "check"):
        module.check(data.comparisons)


@pytest.mark.parametrize("name", PUBLIC)
def test_it_fails_on_problems_alone(name, folder):
    recipe, problems = make(name, folder), fixture(name).EXPECTED.get("problems", {})
    if problems:
        with pytest.raises(BadRows) as caught:
            read(recipe)
        assert set(problems) <= {problem.kind for problem in caught.value.problems}
    else:
        assert read(recipe).manifest["used"] > 0


@pytest.mark.parametrize("name", PUBLIC)
def test_two_readings_are_the_same_and_one_passes_rows_one_by_one(name, folder):
    recipe = make(name, folder)
    first, reader = read(recipe, on_error="skip"), Reader(make(name, folder), on_error="skip")
    assert inspect.isgenerator(iter(reader))
    assert list(reader) == first.comparisons and reader.manifest == first.manifest
    assert read(recipe, on_error="skip").comparisons == first.comparisons, "a second reading of the same recipe"


@pytest.mark.parametrize("name", PUBLIC)
def test_another_column_name_is_said_before_anything_else(name, folder):
    module = fixture(name)
    layout = next(layout for layout in layouts(locate(NODES[name]["_target_"]).columns) if set(layout) <= set(module.ROWS[0]))
    for column in layout:
        renamed = [{key + "_x" if key == column else key: value for key, value in row.items()} for row in module.ROWS]
        with pytest.raises(DataError) as caught:
            read(make(name, folder, renamed))
        message = str(caught.value)
        assert "expected the columns of recipe=" in message and f"`{column}`" in message and f"`{column}_x`" in message, message


def test_every_file_of_rows_has_a_recipe():
    assert sorted(file.stem for file in FOLDER.glob("*.py")) == PUBLIC
