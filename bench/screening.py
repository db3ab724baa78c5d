"""What a start of training waits for when it cleans and looks for benchmarks: with facts to be worked out, and with facts at hand.

    BASEREWARD_REAL_DATA=<folder> python -m bench.screening                 (a few minutes on one CPU core)

20,000 rows recombined from hh-rlhf's (as of bench.data) and 1,000 rows with a picture each, crops of four photos and drawn textures as
JPEG; `data.clean` with near duplicates, languages and pictures by their looks; VL-RewardBench, and a benchmark of 100 pictures.
Each start is a process of its own, and its times are those of `load_data` alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import copies
from bench.data import recombined, since, together

CUSTOM = "basereward.data_recipes.custom.Custom"
HH = "basereward.data_recipes.hh_rlhf.HHRLHF"
HELD_OUT = 100
CLEAN = {"near_duplicates": 0.8, "languages": ["en"], "pictures": "looks"}


def main() -> None:
    """Prints the times of each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("BASEREWARD_REAL_DATA"), help="folder of the real files")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--pictures", type=int, default=1_000)
    parser.add_argument("--folder", help="where rows, pictures and shards are written, and removed again")
    args = parser.parse_args()
    if args.data is None:
        parser.error("expected the folder of the real files; found none; set BASEREWARD_REAL_DATA or give --data")
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        bare, asked = configs(folder, args.data, args.rows, args.pictures)
        for label, function, config in (
            ("prepare, without cleaning and benchmarks", prepared, bare),
            ("start that works the facts out", started, asked),
            ("start that finds them", started, asked),
            ("prepare, what cleaning and benchmarks ask for alone", prepared, asked),
            ("start after that", started, asked),
        ):
            if function is prepared:
                forget(folder)
            (result,) = together(function, [(config,)])
            print(f"{label}: {result}", flush=True)


def configs(folder: Path, data: str, num_rows: int, num_pictures: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(a config that asks for nothing, one that cleans and looks for benchmarks), of rows that are written here."""
    hh = recombined(folder / "hh.jsonl", num_rows, seed=0)
    rng, photos = np.random.default_rng(0), copies.photos(data)
    pictures = [copies.crop(photos[i % 4], rng) if i % 3 else copies.texture(rng) for i in range(num_pictures)]
    for number, picture in enumerate(pictures):
        (folder / f"{number}.jpg").write_bytes(copies.jpeg(picture, quality=90, scale=1.0))
    for number, picture in enumerate(pictures[:HELD_OUT]):
        (folder / f"held{number}.jpg").write_bytes(copies.jpeg(picture))
    write(folder / "shown.jsonl", "", num_pictures)
    write(folder / "held_out.jsonl", "held", min(HELD_OUT, num_pictures))
    sources = {"hh": {"_target_": HH, "path": str(hh)}, "shown": {"_target_": CUSTOM, "path": str(folder / "shown.jsonl")}}
    bare = {"sources": sources, "prepared": str(folder / "prepared")}
    rewardbench = {"recipe": "vl_rewardbench", "path": str(Path(data) / "vl_rewardbench" / "data.json")}
    return bare, bare | {"clean": CLEAN, "overlap_with": [rewardbench, str(folder / "held_out.jsonl")]}


def write(file: Path, before: str, count: int) -> None:
    rows = (
        {"prompt": f"{before} {k}?", "chosen": "Yes.", "rejected": "No.", "images": [f"{before}{k}.jpg"]} for k in range(count)
    )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def forget(folder: Path) -> None:
    """Takes away what was worked out."""
    for facts in [*folder.glob("prepared/*/facts-*"), folder / "prepared" / "benchmarks"]:
        shutil.rmtree(facts, ignore_errors=True)


def prepared(config: dict[str, Any], barrier: Any) -> str:
    """In a process of its own."""
    from basereward import data_prepare

    barrier.wait()
    clock = time.perf_counter(), time.process_time()
    data_prepare.run(data_prepare.DataPrepareSettings(data=config, workers=1))
    return in_words(clock)


def started(config: dict[str, Any], barrier: Any) -> str:
    """In a process of its own: all that training does before it looks at the model."""
    from basereward.mixture import load_data

    barrier.wait()
    clock = time.perf_counter(), time.process_time()
    bundle = load_data(config, seed=0)
    found = sum(benchmark["found"] for benchmark in bundle.manifest["overlap"]["benchmarks"].values())
    return f"{in_words(clock)}; {len(bundle.train):,} to train on, {found:,} benchmark items found"


def in_words(clock: tuple[float, float]) -> str:
    wall, cpu = since(clock)
    return f"{cpu:.1f} s CPU, {wall:.1f} s by the clock"


if __name__ == "__main__":
    main()
