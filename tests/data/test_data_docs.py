"""What docs/data.md shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from basereward.data_recipes.custom import Custom
from test_recipes import oddities, write_lines

from basereward.accounts import read
from basereward.cards import make_card
from basereward.cli import main
from basereward.problems import BadRows
from basereward.records import parse_row

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("block", blocks("json"))
def test_every_row_shown_is_read(block):
    comparison = parse_row(json.loads(block), where="docs/data.md")
    assert len(comparison.images) == ("car.jpg" in block) and comparison.pairs


def test_the_report_shown_is_the_one_printed(tmp_path, monkeypatch):
    oddities(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRows) as caught:
        read(Custom("odd.jsonl"))
    # How many bytes of a cut picture were left over depends on the version of libjpeg.
    (shown,), unstable = blocks("text"), re.compile(r"\d+ bytes")
    assert unstable.sub("N bytes", shown.strip()) == unstable.sub("N bytes", str(caught.value))


def test_the_page_shown_is_written(tmp_path, monkeypatch):
    command = next(line for line in PAGE.partition("## Look at it")[2].splitlines() if line.startswith("basereward data show"))
    row = {"prompt": "Best colour?", "chosen": "Red.", "rejected": "Blue."}
    write_lines(tmp_path / "my_pairs.jsonl", [row])
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command, comments=True)[1:]) == 0
    assert "Best colour?" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_table_has_each_recipe_once():
    table = PAGE.partition("\n## Recipes\n")[2].partition("\n\nThe pictures of")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = sorted(name for cell in cells for name in re.findall(r"`(\w+)`", cell))
    files = (Path(__file__).parents[2] / "conf" / "recipe").glob("*.yaml")
    assert named == sorted(file.stem for file in files if not file.stem.startswith("demo"))


def test_the_reader_shown_works(tmp_path):
    names: dict = {}
    exec(blocks("python")[1], names)
    rows = [{"prompt": "q", "chosen": "three", "rejected": "no"}, {"prompt": "q", "chosen": "", "rejected": "no"}]
    assert names["longest"](Custom(write_lines(tmp_path / "a.jsonl", rows))) == (5, 1)


def test_the_command_shown_is_the_one_that_the_error_gives():
    card = make_card({"hub_id": "Anthropic/hh-rlhf"})
    assert card.fetch_command() in PAGE.splitlines()


def test_the_recipe_shown_works(tmp_path):
    names: dict = {}
    exec(blocks("python")[0], names)
    rows = [{"question": "q", "answer_a": "one", "answer_b": "two", "winner": winner} for winner in ("b", "tie")]
    data = read(names["Battles"](write_lines(tmp_path / "a.jsonl", rows)))
    assert data.manifest["dropped"] == {"tie": 1} and data.comparisons[0].responses == ("two", "one")
