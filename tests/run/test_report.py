"""The page about a run: it says what the files say, holds its pictures, fetches nothing, and data never become markup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from evaluation_script import check_page
from html_pages import Page, widths
from PIL import Image

from basereward import evaluate, train
from basereward.compose import compose
from basereward.records import Comparison, Pair
from basereward.report import render, write_report
from basereward.report.gallery import Scored, pick
from basereward.report.markup import clean
from basereward.settings import EvaluateSettings

ATTACK = '</p></div></main><script>alert("x")</script><img src=x onerror=alert(1)> & "\'>'
PAIR = (Pair(0, 1),)
CODE = "```html\n<b>bold</b>  &amp; <!-- note -->\n```"


def comparison(name: str, *, responses=("yes", "no"), images=(), text="Is it red?", category="colour", pairs=PAIR) -> Comparison:
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": text}]
    return Comparison(
        ({"role": "user", "content": content},), tuple(images), tuple(responses), tuple(pairs), id=name, category=category
    )


def picture(colour: str = "red", size: tuple[int, int] = (40, 24)) -> Image.Image:
    return Image.new("RGB", size, colour)


def make_run(folder: Path, *, validate: bool = True) -> Path:
    """The files that 30 steps of training leave, with numbers made up."""
    folder.mkdir()
    rows = []
    for step in range(1, 31):
        row = {"step": step, "loss": 0.7 - step / 100, "accuracy": 0.5 + step / 100, "learning_rate": 1e-4, "epoch": 1.5}
        speed = {"comparisons_per_second": 100.0 + step, "tokens_per_second": 20_000.0}
        rows.append(row | speed | {"reward_mean": 0.1, "reward_std": 1.0})
        if validate and step % 10 == 0:
            rows.append(
                {"step": step, "eval_loss": 0.6, "eval_accuracy": {10: 0.7, 20: 0.8125, 30: 0.75}[step], "eval_ties": 0.0}
            )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"rows_read": 1234, "used": 1200, "dropped": {"empty response <4>": 34}, "licence": "MIT"}
    (folder / "data_manifest.json").write_text(json.dumps({"sources": {"mine": source}, "split": {"train": 1140, "val": 60}}))
    (folder / "config.yaml").write_text(
        "optim: {lr: 0.0003}\nhead: {_target_: a.b.MLPHead, num_layers: 2}\nrun: {max_steps: 30}\n"
    )
    return folder


def add_evaluation(run_dir: Path, name: str = "bench") -> dict:
    values = {
        "n": 474,
        "correct": 426,
        "ties": 3,
        "wrong": 45,
        "accuracy": 0.8987,
        "interval_95": [0.868, 0.925],
        "blind_accuracy": 0.496,
    }
    results = {"benchmark": name, "version": "1", **values, "categories": {"shape <x>": values | {"n": 80, "accuracy": 0.95}},
               "baselines": {"longer_wins": 0.414, "shorter_wins": 0.449}}  # fmt: skip
    folder = run_dir / "eval" / name
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))
    return results


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run as training leaves it."""
    return make_run(tmp_path / "my run")


def test_data_never_become_markup(run_dir: Path):
    add_evaluation(run_dir)
    item = comparison(ATTACK, responses=(ATTACK, CODE), text=ATTACK, category=ATTACK, images=[picture()])
    page = Page(write_report(run_dir, [item], [np.array([1.0, 0.0])]))
    assert page.all("script") == [{}] and not [image for image in page.all("img") if "onerror" in image]
    assert "bold" not in page.words  # alone between two tags
    assert page.text.count(ATTACK) == 4 and CODE in page.text  # id, category, question, answer


@pytest.mark.parametrize("text", ["a\ud800b", "nul\x00 escape\x1b[31m", "\x85next"])
def test_text_that_no_page_can_hold_is_written_out(run_dir: Path, text: str):
    page = Page(write_report(run_dir, [comparison("a", responses=(text, "b"))], [np.array([1.0, 0.0])]))
    assert clean(text) in page.text and clean(text).isprintable()


def test_page_fetches_nothing(run_dir: Path):
    add_evaluation(run_dir)
    item = comparison("a", responses=("see https://example.org/x.png", "no"), images=[picture()])
    page = Page(write_report(run_dir, [item], [np.array([1.0, 0.0])]))
    for tag, attributes in page.tags:
        for key in ("src", "srcset", "href", "action", "data", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:image/")), (tag, attributes)
    assert "default-src 'none'" in page.source and "url(" not in page.source and "@import" not in page.source
    outside_data = page.source.replace("https://example.org/x.png", "")
    assert "http://" not in outside_data and "https://" not in outside_data


def test_the_one_script_is_allowed_by_its_hash(run_dir: Path):
    page = Page(render(run_dir))
    script = page.source.partition("<script>")[2].partition("</script>")[0]
    expected = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{expected}'" in page.source and "unsafe-inline'; script" in page.source


def test_pictures_are_embedded_small_and_right(run_dir: Path):
    big = picture("blue", (1200, 600))
    item = comparison("a", images=[picture("red"), big], text="Both?")
    page = Page(write_report(run_dir, [item], [np.array([1.0, 0.0])]))
    every = [image["src"] for image in page.all("img")]
    decoded = [Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))).convert("RGB") for uri in every]
    assert all(image["alt"] for image in page.all("img"))
    red, blue = decoded
    assert red.size == (40, 24) and red.getpixel((5, 5)) == (255, 0, 0)
    assert blue.size == (320, 160) and blue.getpixel((5, 5)) == (0, 0, 255)


def test_a_picture_that_is_gone_gives_its_reason(run_dir: Path):
    page = Page(write_report(run_dir, [comparison("a", images=["nowhere.png"])], [np.array([1.0, 0.0])]))
    assert "picture not shown: image missing" in page.text


def test_numbers_are_those_of_the_files(run_dir: Path):
    results = add_evaluation(run_dir)
    page = Page(render(run_dir))
    assert "81.2%" in page.text and "at step 20" in page.text  # 0.8125, the best of three
    assert "0.400" in page.text  # the loss of step 30
    assert "115.5" in page.text  # median of 101 .. 130
    assert "20 k" in page.text and "of 30" in page.text
    (row,) = [row for row in page.cell_rows() if ">all<" in row]
    for shown in (str(results["n"]), "89.9%", "86.8% to 92.5%", ">3<", ">45<", "49.6%"):
        assert shown in row
    (row,) = [row for row in page.cell_rows() if "shape &lt;x&gt;" in row]
    assert "95.0%" in row and ">80<" in row
    (row,) = [row for row in page.cell_rows() if ">mine<" in row]
    assert "1,234" in row and "1,200" in row and "34 empty response &lt;4&gt;" in row and "MIT" in row
    assert "1,140 comparisons to train on, 60 to validate on" in page.text
    assert "MLPHead(num_layers=2)" in page.text and "0.0003" in page.text


def test_charts_say_in_words_what_they_show(run_dir: Path):
    page = Page(render(run_dir))
    loss, accuracy, *_ = [chart["aria-label"] for chart in page.all("svg")]
    assert loss.startswith("Loss over steps: training from 0.690 at step 1 to 0.400 at step 30; validation from 0.600 at step 10")
    assert "validation from 70.0% at step 10 to 75.0% at step 30" in accuracy


def test_card_says_label_rewards_and_agreement(run_dir: Path):
    four = comparison("four", responses=("worst", "best", "middle"), pairs=(Pair(1, 0), Pair(1, 2), Pair(2, 0)))
    page = Page(write_report(run_dir, [four], [np.array([0.5, 2.0, 0.25])]))
    card = page.source.partition("<article")[2].partition("</article>")[0]
    order = [card.index(text) for text in (">best<", ">middle<", ">worst<")]
    assert order == sorted(order)
    assert [card.index(word) for word in ("preferred", "in between", "rejected")] == sorted(
        card.index(word) for word in ("preferred", "in between", "rejected")
    )
    assert "+2.000" in card and "A over B: +1.750" in card and "B over C: \N{MINUS SIGN}0.250" in card
    assert (
        card.count("</span> right</span>") == 2 and card.count("</span> wrong</span>") == 2
    )  # two pairs and the whole, one pair


def test_worst_mistakes_first_then_all_categories():
    def scored(name: str, margin: float, category: str = "a") -> Scored:
        return Scored(comparison(name, category=category), np.array([margin, 0.0]))

    bad = [scored(f"bad{k}", -k) for k in range(9)]  # bad0 is a tie
    good = [scored(f"a{k}", 1.0) for k in range(9)] + [scored("b0", 1.0, "b"), scored("c0", 1.0, "c")]
    mistakes, others = pick([*good, *bad, scored("nan", math.nan)])
    assert [item.comparison.id for item in mistakes] == ["nan", "bad8", "bad7", "bad6", "bad5", "bad4"]
    assert [item.comparison.id for item in others] == ["a0", "b0", "c0", "a1", "a2", "a3"]
    mistakes, others = pick([*good, bad[1]])
    assert (len(mistakes), len(others)) == (1, 11)
    mistakes, others = pick([*bad, good[0]])
    assert (len(mistakes), len(others)) == (9, 1)


def test_rewards_that_are_not_numbers(run_dir: Path):
    items = [comparison("nan"), comparison("inf"), comparison("both")]
    rewards = [np.array([math.nan, 1.0]), np.array([math.inf, 1.0]), np.array([math.nan, math.nan])]
    page = Page(write_report(run_dir, items, rewards))
    assert "1 right in every pair, 2 wrong in some" in page.text
    assert page.words.count("\N{EN DASH}") >= 4 and page.text.lower().count("nan") == 1  # the id alone
    json.loads((run_dir / "report.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("absent", ["metrics.jsonl", "data_manifest.json", "config.yaml", "all"])
def test_whatever_is_absent_is_left_out(run_dir: Path, absent: str):
    for file in list(run_dir.iterdir()):
        if absent in (file.name, "all"):
            file.unlink()
    page = Page(render(run_dir))
    assert "This run is not finished" in page.text and "No benchmark was run yet" in page.text
    assert ("Nothing was logged." in page.text) == (absent in ("metrics.jsonl", "all"))


def test_without_validation(tmp_path: Path):
    run_dir = make_run(tmp_path / "run", validate=False)
    page = Page(write_report(run_dir, [comparison("a")], [np.array([1.0, 0.0])], split="training"))
    assert "no validation" in page.text and "1 training comparisons" in page.text and "validation from" not in page.source


def test_broken_files_and_lines_are_passed_over(run_dir: Path):
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 31, "loss": NaN, "accuracy": NaN}\n{"step": 32, "lo')
    (run_dir / "eval" / "broken").mkdir(parents=True)
    (run_dir / "eval" / "broken" / "results.json").write_text("{")
    page = Page(render(run_dir))
    assert "The training loss was not a number at 1 logged steps, first at step 31." in page.text
    tile = page.source.partition("Training loss</dt>")[2].partition("</dd>")[0]
    assert tile.endswith("\N{EN DASH}")


def test_page_is_a_function_of_the_files(run_dir: Path):
    page = write_report(run_dir, [comparison("a", images=[picture()])], [np.array([1.0, 0.0])])
    first = page.read_bytes()
    assert render(run_dir).read_bytes() == first
    add_evaluation(run_dir)
    assert "89.9%" in Page(render(run_dir)).text
    assert not list(run_dir.glob(".writing-*"))


def test_training_and_evaluation_write_it(small):
    """Training ends with a page that shows validation comparisons; judging the model adds its table to the same page."""
    settings = small("run", "run.max_steps=4", "run.eval_every=2", "run.log_every=2", "data.val.n=16")
    assert train.run(settings) == 0
    run_dir = Path(settings.run.dir)
    page = Page(run_dir / "report.html")
    assert "16 validation comparisons were scored with the final model" in page.text and "not finished" not in page.text
    assert len(page.all("article")) == 12 and "No benchmark was run yet" in page.text
    rewards = [
        entry["rewards"] for group in ("mistakes", "others") for entry in json.loads((run_dir / "report.json").read_text())[group]
    ]
    assert all(isinstance(reward, float) for row in rewards for reward in row)
    judge = compose("evaluate", [f"model={run_dir}", "benchmark=demo", "benchmark.num_comparisons=12"], EvaluateSettings)
    assert evaluate.run(judge) == 0
    page = Page(run_dir / "report.html")
    check_page(run_dir / "report.html", run_dir / "eval" / "demo")
    assert len(page.all("article")) == 24  # 12 of the validation set, 12 of the benchmark
    shown = json.loads((run_dir / "eval" / "demo" / "gallery.json").read_text())
    assert shown["num_scored"] == 12 and len(page.all("svg")) == 4 + 3


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_screen(run_dir: Path, tmp_path: Path, width: int):
    """In a real browser: long words, code, wide tables and pictures do not make the page scroll sideways."""
    add_evaluation(run_dir, "benchmark-with-a-rather-long-name" * 3)
    item = comparison("x" * 200, responses=("y" * 400, CODE), images=[picture(size=(900, 90))], text="z" * 300)
    needed, there = widths(write_report(run_dir, [item], [np.array([1.0, 0.0])]), tmp_path, window=width)
    assert needed <= there <= width
