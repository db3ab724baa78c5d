"""Pages in a real browser: no error, no request, nothing wider than the screen; sorting and filtering; complete without scripts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser
from PIL import Image
from report_files import add_evaluation, items
from test_report import ATTACK, make_run

from basereward.report import render, render_comparison
from basereward.samples import read_samples
from basereward.significance import compared

WIDTHS = (360, 1200)
CURVES = {
    "best_of_n": [
        {"n": n, "picked": 0.5, "interval_95": [0.4, 0.6], "random": 0.4, "majority": None, "oracle": 0.9} for n in (1, 64, 1024)
    ]
}


def add_findings(folder: Path) -> None:
    """What a comparison with itself and a diagnosis leave, under names as wide as they get."""
    samples = read_samples(folder / "samples.jsonl")
    other = {"other": "runs/" + "x" * 200, "other_model": ATTACK}
    (folder / "against.json").write_text(json.dumps(other | compared(samples, samples)))
    style = {"change": 1.0, "interval_95": [-1234.5, 1234.5], "in_margins": 0.5, "raised": 0.5, "beats_worse": 0.5}
    probes = {
        "items": 1,
        "failed": 0,
        "typical_margin": 0.001,
        "original_beats_worse": 1.0,
        "styles": {"y" * 80: style, ATTACK: style},
    }
    (folder / "diagnostics.json").write_text(json.dumps({"probes": probes, "against": ATTACK}))


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """The page of a run and that of a comparison; names and words are as wide and as hostile as they get."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {}
    for seed, name in enumerate(("run one", "w" * 90, ATTACK)):
        runs[name] = make_run(folder / f"run{seed}")
        for k, benchmark in enumerate(("bench", "another-benchmark-" * 8)):
            margins = np.random.default_rng(seed + 10 * k).normal(0.5, 1.0, 60).tolist()
            more = {
                "blind_accuracy": 0.5,
                "edition": "unknown: " + "x" * 200,
                "own": {"a" * 80: {"b" * 80: 0.5, "c": 1}, ATTACK: 1},
            }
            add_evaluation(runs[name], items(benchmark, 60), margins, benchmark, **more)
            add_findings(runs[name] / "eval" / benchmark)
        add_evaluation(runs[name], items("x", 60), margins, "vl_rewardbench", edition="official", own=CURVES)
    return {"run": render(next(iter(runs.values()))), "comparison": render_comparison(runs, folder / "comparison.html")}


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Browser:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", ["run", "comparison"])
def test_no_error_no_request_and_no_scrolling_sideways(tab, pages, tmp_path, page, width):
    tab.problems.clear()
    tab.requests.clear()
    tab.open(pages[page], width=width, dark=width == WIDTHS[0])
    tab.ask("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    needed, there = tab.widths()
    assert needed <= there <= width
    assert tab.problems == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [pages[page].as_uri()]
    tab.screenshot(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as shot:
        assert shot.width >= there and len(shot.convert("L").getcolors()) > 20  # something is drawn
        background = shot.convert("L").getpixel((2, 2))
    assert (background < 60) == (width == WIDTHS[0])  # dark where the reader wants it dark


def test_the_text_of_data_is_no_script(tab, pages):
    tab.problems.clear()
    tab.open(pages["comparison"])
    assert tab.ask("document.scripts.length") == 1 and tab.problems == []
    assert tab.ask("[...document.querySelectorAll('img')].every((image) => image.naturalWidth > 0)")


def test_filtering_hides_and_shows_cards(tab, pages):
    tab.open(pages["run"])
    ask = """(() => {
      const tools = document.querySelector("form.tools"), cards = [...tools.parentElement.querySelectorAll(".card")];
      const shown = () => cards.filter((card) => card.offsetParent !== null || getComputedStyle(card).display !== "none");
      const set = (node, value) => { node.value = value; node.dispatchEvent(new Event("input", {bubbles: true})); };
      tools.closest("details").open = true;
      const all = shown().length, word = tools.querySelector("input"), list = tools.querySelector("select[data-key=verdict]");
      set(list, "wrong");
      const wrong = shown().length, each = shown().every((card) => card.classList.contains("wrong"));
      const told = tools.querySelector("output").textContent;
      set(list, ""); set(word, cards[3].querySelector("footer").textContent.toUpperCase());
      const one = shown().length;
      set(word, "no such words");
      const none = shown().length;
      set(word, "");
      return {all, wrong, each, told, one, none, again: shown().length};
    })()"""
    found = tab.ask(ask)
    assert found["all"] == found["again"] == 12 and 0 < found["wrong"] < 12 and found["each"]
    assert (found["one"], found["none"]) == (1, 0) and found["told"] == f"{found['wrong']} of 12 shown"


def test_sorting_cards_by_their_difference(tab, pages):
    tab.open(pages["run"])
    places = """(() => {
      const tools = document.querySelector("form.tools"), order = tools.querySelector("select[data-order]");
      const read = (key) => [...tools.parentElement.querySelectorAll(".card")].map((card) => Number(card.dataset[key]));
      order.value = "margin -1"; order.dispatchEvent(new Event("change", {bubbles: true}));
      const falling = read("margin");
      order.value = "place 1"; order.dispatchEvent(new Event("change", {bubbles: true}));
      return {falling, places: read("place")};
    })()"""
    found = tab.ask(places)
    assert found["falling"] == sorted(found["falling"], reverse=True) and len(set(found["falling"])) == 12
    assert found["places"] == list(range(12))


def test_a_click_on_a_head_sorts_the_table_and_leaves_its_total(tab, pages):
    tab.open(pages["run"])
    click = """(() => {
      const table = document.querySelector("#evaluations table.sortable");
      const column = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent === "accuracy");
      const head = table.tHead.rows[0].cells[column];
      const read = () => [...table.tBodies[0].rows].map((row) => parseFloat(row.cells[column].textContent));
      const before = read();
      head.querySelector("button").click();
      const falling = read(), said = head.getAttribute("aria-sort");
      head.querySelector("button").click();
      return {before, falling, said, rising: read(), total: table.tFoot.rows[0].cells[0].textContent};
    })()"""
    found = tab.ask(click)
    assert found["falling"] == sorted(found["before"], reverse=True) != found["rising"] == sorted(found["before"])
    assert found["said"] == "descending" and found["total"] == "all"


@pytest.mark.parametrize("page", ["run", "comparison"])
def test_all_is_there_without_scripts(tab, pages, page):
    tab.open(pages[page], scripts=False)
    assert tab.ask("document.querySelectorAll('form.tools').length") > 0
    assert tab.ask("[...document.querySelectorAll('form.tools')].every((node) => getComputedStyle(node).display === 'none')")
    assert tab.ask("document.querySelectorAll('thead button').length") == 0
    hidden = (
        "[...document.querySelectorAll('.card, table, svg, figure')].filter((node) => getComputedStyle(node).display === 'none')"
    )
    assert tab.ask(f"{hidden}.length") == 0 and tab.ask("document.querySelectorAll('.card').length") >= 12
    tab.ask("document.querySelectorAll('details > summary').forEach((node) => node.click())")
    assert tab.ask("[...document.querySelectorAll('.card')].every((card) => card.offsetHeight > 50)")
