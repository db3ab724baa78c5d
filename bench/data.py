"""Speed and memory of data: rows checked, tokenized and indexed a second; a large source's peak memory; the planner.

    BASEREWARD_REAL_DATA=<folder> python -m bench.data rate planner memory        (any of them; `--rows` of a prepared source)

Rows are recombined from the real ones of hh-rlhf: a row keeps its answers and gets the first question of another row. Times are CPU
time, which neighbours on the machine change less; wall time stands beside it. `--model` names another tokenizer than the demo's.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

QUESTION = re.compile(r"\n\nHuman:(.*?)(?=\n\nAssistant:)", re.DOTALL)
RECIPE = "basereward.data_recipes.hh_rlhf.HHRLHF"
ROWS = Path("hh_rlhf") / "harmless-base_test.jsonl.gz"
PAPER = 2_850_000
BUDGET = 16_384
BATCH = 128


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        model = args.model or str(tiny(folder / "model"))
        for what in args.what:
            print(f"{what}: {MEASURES[what](folder / what, model, args)}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.data", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="+", choices=MEASURES)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the source whose memory is measured")
    parser.add_argument("--model", help="checkpoint folder or Hub id whose tokenizer is used")
    parser.add_argument("--folder", help="where the rows and shards are written, and removed again")
    return parser.parse_args()


def rate(folder: Path, model: str, args: argparse.Namespace) -> str:
    """Two processes, each on its own file: read and check, write shards with their index, count tokens."""
    files = [recombined(folder / f"{k}.jsonl", 10_000, seed=k) for k in range(2)]
    jobs = [(str(file), str(folder / f"store{k}"), model) for k, file in enumerate(files)]
    results = together(prepared, jobs)
    count = sum(result["comparisons"] for result in results)
    lines = []
    for key, label in (("all", "check + encode + index"), ("tokenizer", "the tokenizer alone")):
        wall, cpu = max(r[key][0] for r in results), sum(r[key][1] for r in results)
        lines.append(f"{label} {2 * count / cpu:,.0f}/s on 2 cores by CPU time ({count / wall:,.0f}/s by the clock)")
    return f"{count:,} comparisons of {results[0]['tokens']:.0f} tokens; " + "; ".join(lines)


def planner(folder: Path, model: str, args: argparse.Namespace) -> str:
    """All packs of all batches of one epoch, from lengths that real rows have."""
    from basereward.accounts import Reader
    from basereward.batches import BatchSampler, Dealer
    from basereward.encode import Encoder
    from basereward.shares import MixtureOrder

    encoder, items = Encoder.from_folder(model), list(Reader(recipe(real_rows())))
    real = np.array([lengths.packed for lengths in encoder.lengths(items, [()] * len(items))])
    lengths = np.random.default_rng(0).choice(real, PAPER)
    start, cpu, packs = time.perf_counter(), time.process_time(), 0
    for step in BatchSampler(MixtureOrder({"all": PAPER}, seed=0), BATCH, Dealer(lengths, lengths, BUDGET)):
        packs += len(step)
    took, used = time.perf_counter() - start, time.process_time() - cpu
    return f"{PAPER:,} comparisons, batches of {BATCH}, {packs:,} packs of {BUDGET} tokens: {used:.1f} s CPU, {took:.1f} s by the clock"


def memory(folder: Path, model: str, args: argparse.Namespace) -> str:
    """A source is prepared, then trained from up to its first steps; each in a process of its own, whose peak is read at its end."""
    file = recombined(folder / "rows.jsonl", args.rows, seed=0)
    size = file.stat().st_size
    (prepare,) = together(prepared, [(str(file), None, model)])
    (training,) = together(first_steps, [(str(file), model)])
    return (
        f"{prepare['comparisons']:,} comparisons ({size / 2**30:.2f} GiB of JSON lines): prepared in {prepare['all'][1]:.0f} s CPU with a "
        f"peak of {prepare['peak']:.2f} GiB; training begins in {training['begin']:.0f} s CPU, {training['batches']} batches later the "
        f"peak is {training['peak']:.2f} GiB"
    )


MEASURES: dict[str, Callable[[Path, str, argparse.Namespace], str]] = {"rate": rate, "planner": planner, "memory": memory}


def prepared(path: str, folder: str | None, model: str, barrier: Any) -> dict[str, Any]:
    """In a process of its own: one source prepared, where training finds it when no folder is given; with its tokens counted."""
    from basereward.encode import Encoder
    from basereward.lengths import stored_lengths
    from basereward.sources import make_sources, source_stream
    from basereward.store.identity import folder_of
    from basereward.store.stored import Stored
    from basereward.store.writing import write_store

    encoder = Encoder.from_folder(model)
    (source,) = make_sources(config(path))
    facts = source.facts()
    place = Path(folder) if folder else folder_of(facts, source.root)
    barrier.wait()
    clock = time.perf_counter(), time.process_time()
    write_store(source_stream(source.recipe, source.settings, progress=False), facts, place, lambda count: None)
    stored = Stored(place, source.name)
    table = stored_lengths(stored, encoder)
    result = {"all": since(clock), "comparisons": len(stored), "tokens": float(table.packed.mean()), "peak": peak()}
    if folder is not None:
        texts = [text for item in stored for text in (encoder.chat.prefix_text(item.messages), *item.responses)]
        barrier.wait()
        clock = time.perf_counter(), time.process_time()
        for i in range(0, len(texts), 768):
            encoder.tokenizer.backend_tokenizer.encode_batch_fast(texts[i : i + 768], add_special_tokens=False)
        result["tokenizer"] = since(clock)
    return result


def first_steps(path: str, model: str, barrier: Any) -> dict[str, Any]:
    """In a process of its own: what training does before its first step, and the batches of its first steps."""
    from basereward.batches import BatchSampler, Dealer, EncodedDataset, ToStep, make_loader
    from basereward.encode import Encoder
    from basereward.mixture import load_data
    from basereward.shares import MixtureOrder

    clock = time.perf_counter(), time.process_time()
    encoder, data = Encoder.from_folder(model), load_data(config(path), seed=0)
    dataset = EncodedDataset(data.train, encoder, max_length=8192, on_long="drop")
    deal = Dealer(dataset.lengths.packed, dataset.lengths.packed, BUDGET)
    sampler = BatchSampler(MixtureOrder(dataset.comparisons.sizes, 0, data.mixture), BATCH, deal)
    loader = iter(make_loader(dataset, sampler, ToStep(encoder, "comparison"), workers=0, pin=False))
    next(loader)
    begin = since(clock)[1]
    batches = 1 + sum(1 for _ in zip(range(199), loader))
    return {"begin": begin, "batches": batches, "peak": peak()}


def together(function: Callable, jobs: list[tuple]) -> list[dict[str, Any]]:
    """The results of jobs that run side by side, each in a fresh process with one thread."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(len(jobs)) as pool:
        barrier = manager.Barrier(len(jobs))
        return pool.starmap(function, [(*job, barrier) for job in jobs])


def config(path: str) -> dict[str, Any]:
    return {"sources": {"hh": {"_target_": RECIPE, "path": path}}, "prepared": str(Path(path).parent / "prepared")}


def recipe(path: Path) -> Any:
    from basereward.data_recipes.hh_rlhf import HHRLHF

    return HHRLHF(str(path))


def real_rows() -> Path:
    folder = os.environ.get("BASEREWARD_REAL_DATA")
    if folder is None:
        raise SystemExit("expected the folder of real rows in BASEREWARD_REAL_DATA; found none; it holds hh_rlhf/")
    return Path(folder) / ROWS


def recombined(file: Path, count: int, seed: int) -> Path:
    """Rows with the first question of another row; nearly all of them differ."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(real_rows()) as lines:
        rows = [json.loads(line) for line in lines]
    questions = [QUESTION.match(row["chosen"])[1] for row in rows]
    rng = np.random.default_rng(seed)
    with file.open("w", encoding="utf-8") as out:
        for i, j in rng.integers(0, len(rows), (count, 2)).tolist():
            row = {key: f"\n\nHuman:{questions[j]}{text[QUESTION.match(text).end() :]}" for key, text in rows[i].items()}
            out.write(json.dumps(row) + "\n")
    return file


def tiny(folder: Path) -> Path:
    from basereward.demo.backbone import build_tiny_backbone

    return build_tiny_backbone(folder)


def since(clock: tuple[float, float]) -> tuple[float, float]:
    """(wall, CPU) seconds."""
    return time.perf_counter() - clock[0], time.process_time() - clock[1]


def peak() -> float:
    """GiB of memory, mapped files included, that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
