"""Files of a prepared source, written so that each appears when it is whole; and what a full disk says."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from basereward.errors import DataError
from basereward.runtime import sync

WRITING = ".writing-"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space on the device, over the user's quota, over the largest file that is allowed."""


@contextmanager
def appearing(path: Path, needed: Callable[[], int]) -> Iterator[Path]:
    """The name under which a file is written until it is whole; an error takes it away.

    Args:
        needed: bytes of the file, as far as they are known; asked when the disk is full.

    Raises:
        DataError: the disk is full.
    """
    aside = path.with_name(f"{WRITING}{path.name}")
    with told_when_full(path, needed):
        try:
            yield aside
            sync(aside)
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


@contextmanager
def told_when_full(path: Path, needed: Callable[[], int]) -> Iterator[None]:
    """Raises DataError where writing ``path`` ends because there is no room; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        raise DataError(
            f"expected room for {path}, {needed():,} bytes; found {free:,} bytes free there ({os.strerror(error.errno)}); free some, or "
            "choose another disk with data.prepared=<folder>; what is whole stays, and the same command goes on from it"
        ) from error


def write_arrow(path: Path, rows: list[dict[str, Any]], columns: Any) -> None:
    """Writes rows as one record batch.

    Raises:
        DataError: the disk is full.
    """
    import pyarrow as pa

    batch = pa.RecordBatch.from_pylist(rows, columns)
    with appearing(path, lambda: batch.nbytes) as aside, aside.open("wb") as sink, pa.ipc.new_file(sink, columns) as writer:
        writer.write_batch(batch)
