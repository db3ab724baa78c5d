"""How often planted benchmark rows and copied pictures are found, and how often others are taken for them.

    BASEREWARD_REAL_DATA=<folder> python -m bench.overlap                  (a minute or two on one CPU core)
    BASEREWARD_REAL_DATA=<folder> python -m bench.overlap --rows 10000 --pictures 200 --seeds 1

Text: 63 rows of VL-RewardBench in another case and spacing and with swapped responses, among rows recombined from the real files, half
of which ask the benchmark's own questions. Pictures: crops of four photos and drawn textures, and their copies at 0.8 of the size and
JPEG quality 60. Rates are per item: of the planted rows (copies) those that were found, of the others those that were.
"""

from __future__ import annotations

import argparse
import os
import random
import time

import numpy as np

from basereward.fingerprints import text
from basereward.fingerprints.pictures import differences, picture_hashes, same_pictures
from basereward.overlap.find import find, rows_found
from basereward.overlap.known import Known
from basereward.records import Comparison
from bench import copies

PLANTED = 63
SHORT = 60
LETTERS = (1, 20, 40, 60, 80, 120)


def planted_rows(folder: str, number: int, seed: int, *, whole: bool) -> tuple[list[Comparison], list[Comparison]]:
    """(benchmark, training rows: the planted ones first).

    Args:
        whole: the benchmark is all of VL-RewardBench; else the 63 rows alone, and the answers of the others are among the rest.
    """
    rng = random.Random(seed)
    every = copies.vl_rewardbench(folder)
    chosen = rng.sample(every, PLANTED)
    benchmark = every if whole else chosen
    forbidden = {copies.plain(response) for item in benchmark for response in item.responses}
    others = list(copies.other_rows(folder))
    answers = [answer for _, known in others for answer in known]
    answers += [] if whole else [response for item in every for response in item.responses]
    hard = [copies.question(item) for item in benchmark]
    rest = copies.recombined([question for question, _ in others], answers, hard, number - PLANTED, forbidden, rng)
    return benchmark, [copies.disguised(item, rng) for item in chosen] + rest


def text_rates(benchmark: list[Comparison], rows: list[Comparison]) -> tuple[float, float]:
    """(recall, share of the other rows that were found)."""
    found = rows_found(find(rows, [Known.of("vl_rewardbench", "", benchmark)])[0][0])
    is_planted = found < PLANTED
    return is_planted.sum() / PLANTED, (~is_planted).sum() / (len(rows) - PLANTED)


def picture_rates(folder: str, number: int, seed: int) -> tuple[float, float, dict[str, np.ndarray]]:
    """(recall, share of the copies with a false match, differences of each copy in bits and colours and to the nearest other)."""
    rng = np.random.default_rng(seed)
    photos = copies.photos(folder)
    pictures = [copies.crop(photos[i % 4], rng) if i % 3 else copies.texture(rng) for i in range(number)]
    hashes, _ = picture_hashes([*map(copies.png, pictures), *map(copies.jpeg, pictures)])
    found = same_pictures(hashes[number:], hashes[:number])
    true = [place in row for place, row in enumerate(found)]
    false = [bool(set(row.tolist()) - {place}) for place, row in enumerate(found)]
    own_bits, own_colours, _ = differences(hashes[number:], hashes[:number])
    others = [
        differences(np.broadcast_to(copy, (number - 1, 9)), np.delete(hashes[:number], place, axis=0))[0].min()
        for place, copy in enumerate(hashes[number:])
    ]
    return float(np.mean(true)), float(np.mean(false)), {"bits": own_bits, "colours": own_colours, "others": np.array(others)}


def main() -> None:
    """Prints the rates as Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("BASEREWARD_REAL_DATA"), help="folder of the real files")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=1_200)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    if args.data is None:
        parser.error("expected the folder of the real files; found none; set BASEREWARD_REAL_DATA or give --data")
    print("| benchmark | seed | recall | found of the others | rows/s |", "|---|---|---|---|---|", sep="\n")
    for whole in (False, True):
        for seed in range(args.seeds):
            benchmark, rows = planted_rows(args.data, args.rows, seed, whole=whole)
            start = time.process_time()
            recall, false = text_rates(benchmark, rows)
            speed = len(rows) / (time.process_time() - start)
            print(f"| {len(benchmark)} rows | {seed} | {recall:.4f} | {false:.5%} | {speed:,.0f} |", flush=True)
    letters_table(args.data, args.rows // 10)
    print(
        "\nPictures; bits and levels by which a copy differs (median, 99%, most), and bits to the nearest other one (least, 1%):\n"
    )
    print("| pictures | seed | recall | with a false match | bits | levels | nearest |", "|---" * 7 + "|", sep="\n")
    for seed in range(args.seeds):
        recall, false, spread = picture_rates(args.data, args.pictures, seed)
        copies_of, colours = (
            ", ".join(f"{v:.0f}" for v in np.percentile(spread[key], (50, 99, 100))) for key in ("bits", "colours")
        )
        nearest = ", ".join(f"{v:.0f}" for v in np.percentile(spread["others"], (0, 1)))
        print(f"| {args.pictures} | {seed} | {recall:.4f} | {false:.3%} | {copies_of} | {colours} | {nearest} |", flush=True)


def letters_table(folder: str, number: int) -> None:
    """The rates for other lengths from which on a response counts by itself, where all other rows have short answers: those that the
    real files give to any question, the benchmark's own among them.
    """
    benchmark, rows = planted_rows(folder, PLANTED, 0, whole=True)
    rng = random.Random(0)
    known = {frozenset((copies.question(item), *item.responses)) for item in benchmark}
    answers = [answer for _, given in copies.other_rows(folder) for answer in given]
    short = sorted(
        {text for text in answers + [r for item in benchmark for r in item.responses] if len(text) < SHORT and text.strip()}
    )
    asked = [copies.question(item) for item in benchmark]
    drawn = (copies.row(rng.choice(asked), tuple(rng.sample(short, 2)), "short") for _ in range(number))
    rows += [item for item in drawn if frozenset((copies.question(item), *item.responses)) not in known]
    print(f"\nRows with two of {len(short)} short answers:\n")
    print("| letters of a long response | recall | found of the others |", "|---|---|---|", sep="\n")
    kept = text.LONG
    for letters in LETTERS:
        text.LONG = letters
        recall, false = text_rates(benchmark, rows)
        print(f"| {letters} | {recall:.4f} | {false:.3%} |", flush=True)
    text.LONG = kept


if __name__ == "__main__":
    main()
