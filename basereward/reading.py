"""Files of rows -> (where, row): JSON lines, JSON arrays, Parquet, Arrow, and folders that `datasets` saved.

A line that is not JSON becomes a `Problem` in the place of its row, and reading goes on.
"""

from __future__ import annotations

import difflib
import glob
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from basereward.errors import DataError, MissingDependency, near_matches
from basereward.problems import Problem, shown

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet", ".arrow")
PROGRESS_AFTER_ROWS = 5_000
_BATCH_ROWS = 256
_ID = re.compile(r'"id"\s*:\s*("[^"]*"|\d+)')

Row = tuple[str, Mapping | Problem]


def find_files(path: str | os.PathLike) -> list[Path]:
    """The files that a path means: itself, what its `*` matches, or the data files of a folder, sorted by name.

    Raises:
        DataError: nothing there, with near matches.
    """
    text = os.path.expanduser(os.fspath(path))
    if os.path.isfile(text):
        return [_known(Path(text))]
    if os.path.isdir(text):
        found = [file for file in sorted(Path(text).iterdir()) if file.name.endswith(SUFFIXES)]
        advice = f"put files ending in {', '.join(SUFFIXES)} there, or name the file"
    else:
        found = [Path(name) for name in sorted(glob.glob(text))]
        advice = f"correct the path: {_beside(Path(text))}"
    if not found:
        raise DataError(f"expected data at {text}; found nothing to read; {advice}")
    return [_known(file) for file in found]


def _beside(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = sorted(entry.name for entry in path.parent.iterdir())
    close = difflib.get_close_matches(path.name, names, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    data = [name for name in names if name.endswith(SUFFIXES)]
    listing = f"the data files there are {', '.join(data[:5])}" if data else "it holds no data file"
    return f"there is no {path.name} in {path.parent.absolute()}; {listing}" + (", ..." if len(data) > 5 else "")


def _known(file: Path) -> Path:
    if not file.name.endswith(SUFFIXES):
        raise DataError(f"expected a file ending in {', '.join(SUFFIXES)}; found {file}; convert it or rename it")
    return file


def is_saved_dataset(path: str | os.PathLike) -> bool:
    """True for a folder that `datasets` wrote with `save_to_disk`."""
    return any(os.path.isfile(os.path.join(path, name)) for name in ("state.json", "dataset_dict.json"))


def read_file(file: Path) -> Iterator[Row]:
    """The rows of one file, with `file:line` (JSON lines) or `file:row N` (the rest, counted from 1)."""
    name = file.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return _read_lines(file)
    if name.endswith(".json"):
        return _read_json(file)
    return numbered(file, _parquet_rows(file) if name.endswith(".parquet") else _arrow_rows(file))


def read_saved(path: str | os.PathLike, split: str | None) -> Iterator[Row]:
    """The rows of a folder written by `datasets.save_to_disk`; image columns stay encoded."""
    datasets = import_datasets(f"reading the saved dataset {path}")
    data = datasets.load_from_disk(os.fspath(path))
    return numbered(path, stored_rows(one_split(data, split, path)))


def consecutive(rows: Iterable[Row], key: Callable[[Mapping], object]) -> Iterator[tuple[str, list[Mapping] | Problem]]:
    """Neighbouring rows of the same key as one list, named after the first; a `Problem` passes between two lists."""
    place, group, current = "", [], None
    for where, row in rows:
        if isinstance(row, Problem):
            yield where, row
            continue
        if group and key(row) != current:
            yield place, group
            group = []
        if not group:
            place, current = where, key(row)
        group.append(row)
    if group:
        yield place, group


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 of the files' bytes, one after another, as hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def with_progress(items: Iterable, label: str, *, unit: str = " rows") -> Iterator:
    """Passes items on; shows a progress bar once there are more than `PROGRESS_AFTER_ROWS`."""
    bar = None
    for number, item in enumerate(items, 1):
        if number > PROGRESS_AFTER_ROWS and bar is None:
            from tqdm.auto import tqdm

            bar = tqdm(desc=label, unit=unit, initial=number, mininterval=0.5)
        elif bar is not None:
            bar.update()
        yield item
    if bar is not None:
        bar.close()


def _open(file: Path):
    return gzip.open(file, "rb") if file.name.endswith(".gz") else open(file, "rb")


def read_lines(stream: Iterable[bytes], name: object) -> Iterator[Row]:
    """The rows of an open file of JSON lines; `name` is what `where` says of the file."""
    for number, line in enumerate(stream, 1):
        if line.strip():
            where = f"{name}:{number}"
            yield where, _parse_line(line, where)


def _read_lines(file: Path) -> Iterator[Row]:
    last = f"{file}:0"
    try:
        with _open(file) as stream:
            for last, row in read_lines(stream, file):
                yield last, row
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        where = f"{file}:{int(last.rpartition(':')[2]) + 1}"
        yield where, Problem("broken archive", where, "", "a whole gzip file", str(error), "fetch the file again")


def _parse_line(line: bytes, where: str) -> Mapping | Problem:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        if b"\0" in line:
            found = "zero bytes, as in a text in UTF-16"
            return Problem("not UTF-8", where, "", "one JSON object on the line, in UTF-8", found, "save the file as UTF-8")
        if (place := _not_utf8(line)) is not None:
            found = f"byte {line[place]:#04x} at byte {place}, as in a text in Latin-1"
            return Problem("not UTF-8", where, "", "one JSON object on the line, in UTF-8", found, "save the file as UTF-8")
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        found = f"{_json_error(error)}; the line ends with {shown(text[-30:])}"
        return Problem("not JSON", where, _id_within(text), "one JSON object on the line", found, "complete or delete the line")


def _not_utf8(line: bytes) -> int | None:
    """Where bytes are no UTF-8; None also where the line is cut off within its last character."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return None if error.reason == "unexpected end of data" else error.start
    return None


def _json_error(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "lists or objects inside each other, too deep to read"
    return f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


def _id_within(text: str) -> str:
    """The id in a line that is cut off after it, so that the report can name the row."""
    found = _ID.search(text)
    return found[1].strip('"') if found else ""


def _read_json(file: Path) -> Iterator[Row]:
    """An array of rows or a single row; a file of JSON lines that is named .json is read as lines."""
    with _open(file) as stream:
        content = stream.read()
    if not content.strip():
        where = f"{file}:1"
        yield where, Problem("empty file", where, "", "a JSON array of rows", "an empty file", "write it again, or leave it out")
        return
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        first = content.lstrip().split(b"\n", 1)[0]
        if first.startswith(b"{") and isinstance(_parse_line(first, ""), Mapping):
            yield from _read_lines(file)
            return
        where = f"{file}:{getattr(error, 'lineno', 1)}"
        yield (
            where,
            Problem("not JSON", where, "", "a JSON array of rows", _json_error(error), "complete the file; none of it was read"),
        )
        return
    yield from numbered(file, data if isinstance(data, list) else [data])


def numbered(name: object, rows: Iterable) -> Iterator[Row]:
    """Rows with `name:row N`, counted from 1."""
    for number, row in enumerate(rows, 1):
        yield f"{name}:row {number}", row


def _parquet_rows(file: Path) -> Iterator[dict]:
    pa = _pyarrow(file)
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_BATCH_ROWS):
            yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise DataError(f"expected a Parquet file; found {file}, which is not one ({error}); fetch it again") from error


def _arrow_rows(file: Path) -> Iterator[dict]:
    """Both layouts of Arrow: the stream that `datasets` writes and the file format (Feather)."""
    pa = _pyarrow(file)
    try:
        with pa.memory_map(os.fspath(file)) as source:
            if source.read(6) == b"ARROW1":
                reader = pa.ipc.open_file(source)
                batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
            else:
                source.seek(0)
                batches = iter(pa.ipc.open_stream(source))
            for batch in batches:
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"expected an Arrow file; found {file}, which is not one ({error}); fetch it again") from error


def stored_rows(data) -> Iterator[dict]:
    """Rows of a `datasets.Dataset` as they are stored: images as {"bytes", "path"}, not decoded."""
    for batch in data.with_format("arrow").iter(batch_size=_BATCH_ROWS):
        yield from batch.to_pylist()


def one_split(data, split: str | None, name: object):
    """The Dataset of a split; a DatasetDict with a single split needs no name for it."""
    if not isinstance(data, dict):
        return data
    if split is None and len(data) > 1:
        raise DataError(f"expected split= to say which of {', '.join(data)}; found none for {name}; add split={next(iter(data))}")
    if split is not None and split not in data:
        raise DataError(f"expected a split of {name}; found split={split!r}; {near_matches(split, data)}")
    return data[split or next(iter(data))]


def import_datasets(purpose: str):
    """The library `datasets`, or the error that says what needs it."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependency(
            f"{purpose} needs datasets, which is not installed; install it with: pip install datasets"
        ) from error
    return datasets


def _pyarrow(file: Path):
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependency(
            f"reading {file} needs pyarrow, which is not installed; install it with: pip install pyarrow"
        ) from error
    return pyarrow
