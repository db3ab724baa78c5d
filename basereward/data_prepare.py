"""Read every source of a data config once, into shards that training maps.    basereward data prepare data=custom data.path=my_pairs.jsonl

Sources are prepared side by side in processes; what `data.clean` and `data.overlap` ask of each row and picture is worked out last. A
start that was killed is continued by the same command; a source that is complete is only checked against its checksums.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from basereward.against_paper import paper_table
from basereward.ahead import benchmarks_have_pictures, work_for
from basereward.encode import Encoder
from basereward.errors import BaseRewardError, ConfigError, DataError
from basereward.lengths import stored_lengths
from basereward.places import check_folder
from basereward.problems import counted
from basereward.run_lock import RunInUse, lock, unlock
from basereward.runtime import set_up_logging
from basereward.sources import Source, make_sources, source_stream
from basereward.store.identity import folder_of
from basereward.store.pictures import differences, in_words
from basereward.store.stored import MANIFEST, Stored, is_begun, read_manifest
from basereward.store.writing import broken_files, make_incomplete, number_of, write_store
from basereward.text_tables import table


@dataclass
class DataPrepareSettings:
    """Everything ``basereward data prepare`` reads."""

    data: dict[str, Any]
    """Config node of the data, as of ``basereward train``."""
    model: str | None = None
    """A checkpoint folder or Hub id: token lengths are counted with its tokenizer; left to training when null."""
    min_pixels: int | None = None
    """With ``model``: the run's ``backbone.min_pixels``."""
    max_pixels: int | None = None
    """With ``model``: the run's ``backbone.max_pixels``."""
    workers: int | None = None
    """Processes; one for each source, but no more than there are cores, when null."""
    run: dict[str, Any] = field(default_factory=lambda: {"seed": 0})
    """``seed``: for sources that are drawn from the run's seed."""


SETTINGS = DataPrepareSettings
PATIENCE = 10  # seconds


def plan(settings: DataPrepareSettings) -> str:
    """Where each source would be prepared, and what is there."""
    _check(settings)
    lines = []
    for source in make_sources(settings.data):
        folder = folder_of(source.facts(), source.root)
        state = "complete" if read_manifest(folder) is not None else "begun" if is_begun(folder) else "not prepared"
        lines.append(f"{source.name}: {state}: {folder}")
    if beside_paper := paper_table(settings.data.get("sources") or {}):
        lines += ["", beside_paper, ""]
    return "\n".join([*lines, "plan: prepare what is not complete; no comparison was read or written"])


def run(settings: DataPrepareSettings) -> int:
    """Prepares every source and prints where it is; a source that fails does not keep the others from being prepared.

    Raises:
        DataError: with the errors of all sources that failed.
    """
    set_up_logging()
    _check(settings)
    sources = make_sources(settings.data)
    check_folder(_root_key(settings), sources[0].root)
    results = _prepare_all(sources, settings)
    rows = [(name, *cells) for name, cells in results.items() if isinstance(cells, list)]
    if rows:
        print(table(("source", "rows", "used", "dropped", "shards", "folder"), rows))
    failed = [f"{name}: {text}" for name, text in results.items() if isinstance(text, str)]
    if failed:
        raise DataError("\n".join(failed))
    return 0


def _check(settings: DataPrepareSettings) -> None:
    if settings.model is None and (settings.min_pixels, settings.max_pixels) != (None, None):
        raise ConfigError(
            "min_pixels, max_pixels: expected beside model=, whose tokens they change; found no model; add model=..."
        )
    if settings.workers is not None and settings.workers < 1:
        raise ConfigError(f"workers: expected null or a number of processes from 1; found {settings.workers}; correct it")


def _root_key(settings: DataPrepareSettings) -> str:
    """What says where prepared sources lie."""
    return "BASEREWARD_CACHE" if not settings.data.get("prepared") and os.environ.get("BASEREWARD_CACHE") else "data.prepared"


def _prepare_all(sources: list[Source], settings: DataPrepareSettings) -> dict[str, list[str] | str]:
    """Source -> the cells of its row in the table, or the text of its error."""
    workers = min(settings.workers or os.cpu_count() or 1, len(sources))
    encoder = {"model": settings.model, "min_pixels": settings.min_pixels, "max_pixels": settings.max_pixels}
    compare_pictures = benchmarks_have_pictures(settings.data)
    # Their files are hashed here, one source after another: the list of hashes has one writer.
    jobs = [(source.name, source.facts(), settings.data, encoder, compare_pictures, line) for line, source in enumerate(sources)]
    if workers == 1:
        return {job[0]: _prepare(*job) for job in jobs}
    # spawn: a forked child would share locks with threads (of tokenizers, of Arrow) that it does not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(context.RLock(), os.getpid())) as pool:
        futures = {job[0]: pool.submit(_prepare, *job) for job in jobs}
        return {name: _result(future.result) for name, future in futures.items()}


def _result(result: Callable[[], list[str] | str]) -> list[str] | str:
    try:
        return result()
    except BrokenProcessPool:
        return "expected its process to end by itself; found it killed, by the system if memory ran out; start again to continue"


def _start(bars: Any, parent: int) -> None:
    """In a new process; it ends with the one that asked for it, however that ends: a start that continues must not meet it."""
    tqdm.set_lock(bars)
    set_up_logging()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _prepare(
    name: str, facts: dict[str, Any], data: Mapping[str, Any], encoder: Mapping[str, Any], compare_pictures: bool, line: int
) -> list[str] | str:
    """One source, in its process; an error comes back as text, since not every error can be sent."""
    source = next(source for source in make_sources(data) if source.name == name)
    folder = folder_of(facts, source.root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _lock(folder)
        stored = _complete(source, facts, folder, line)
        if encoder["model"] is not None:
            limits = {key: encoder[key] for key in ("min_pixels", "max_pixels")}
            with _bar(name, "token lengths", len(stored), line) as tick:
                stored_lengths(stored, Encoder.from_folder(encoder["model"], **limits), tick)
        for what, work in work_for(source, stored, compare_pictures).items():
            with _bar(name, what, len(stored), line) as tick:
                work(tick)
    except RunInUse:
        return f"expected no other process to prepare it; found one at work on {folder}; wait for it or end it"
    except (BaseRewardError, OSError) as error:
        return str(error)
    finally:
        unlock(folder)
    account = stored.manifest["account"]
    numbers = (account["rows_read"], account["used"], sum(account["dropped"].values()), len(stored.sizes))
    return [*(f"{number:,}" for number in numbers), str(folder)]


def _lock(folder: Path) -> None:
    """The processes of a start that was killed need a moment to end."""
    for _ in range(PATIENCE * 5):
        try:
            return lock(folder)
        except RunInUse:
            time.sleep(0.2)
    lock(folder)


def _complete(source: Source, facts: dict[str, Any], folder: Path, line: int) -> Stored:
    _take_away_what_changed(source.name, folder)
    if read_manifest(folder) is None:
        recipe = source.recipe
        expected = recipe.card.rows_of(recipe.path, recipe.data.split)
        with _bar(source.name, "comparisons", expected, line) as tick:
            write_store(source_stream(source.recipe, source.settings, progress=False), facts, folder, tick)
    return Stored(folder, source.name)


def _take_away_what_changed(name: str, folder: Path) -> None:
    """Of a complete source: what is broken, and what was made of pictures that are others now."""
    manifest = read_manifest(folder)
    if manifest is None:
        (folder / MANIFEST).unlink(missing_ok=True)
        return
    if broken := broken_files(folder, manifest):
        tqdm.write(f"{name}: {counted(len(broken), 'file')} of {folder} changed since, {broken[0]} first; written again")
        make_incomplete(folder, min(map(number_of, broken)), broken)
    elif changed := list(differences(Stored(folder, name))):
        shown = in_words((ref, how or "has another time and the same content") for _, ref, how in changed)
        tqdm.write(f"{name}: {counted(len(changed), 'picture')} changed since: {shown}; read again")
        make_incomplete(folder, changed[0][0])


@contextmanager
def _bar(name: str, what: str, total: int | None, line: int) -> Iterator[Callable[[int], None]]:
    """One line of progress for a source; told how many more comparisons are done."""
    with tqdm(desc=f"{name}: {what}", total=total, unit=" rows", position=line, mininterval=0.5) as bar:
        yield bar.update
