"""`basereward data prepare` killed (SIGKILL) at random moments, with two sources in two processes: the bytes are those of a whole run.

    BASEREWARD_REAL_DATA=<folder> python -m bench.kills --kills 20

One source is text, the other has pictures; shards are small, so that there are many. Of five kills one falls at random between the start of
the command and its first shard, the others at random within a third of the time in which shards grow. Every third kill meets the command
alone, whose processes have to notice; the others meet all at once. What lay in the folders then says what was being done. A start that
ends by itself is compared, and followed by a new one in an empty folder. Needs hydra-core beside what the other benchmarks need.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from PIL import Image

from bench.data import RECIPE, recombined

CUSTOM = "basereward.data_recipes.custom.Custom"
ROWS = 20_000
SHARD_ROWS = 128
PICTURES = 400
SOURCES = 2


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.kills", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nodes = [f"s0:{{_target_:{RECIPE},path:{recombined(folder / '0.jsonl', ROWS, seed=0)}}}"]
        nodes.append(f"s1:{{_target_:{CUSTOM},path:{with_pictures(folder)}}}")
        test = Kills(",".join(nodes), folder, random.Random(args.seed))
        while len(test.phases) < args.kills:
            test.kill_once()
        test.finish()
    counts = Counter(test.phases)
    for phase, count in counts.most_common():
        print(f"{count:>4} kills {phase}")
    print(
        f"{len(test.phases)} kills ({test.took:.1f} s without one, shards growing in the last {test.growing:.1f} s), {test.begun} times "
        f"from an empty folder, with {test.shards} of {test.all_shards} shards there: {len(test.whole)} files, the bytes of a whole run"
    )


class Kills:
    """A whole run, and starts in another folder that are killed.

    Args:
        nodes: the sources of the config. folder: for both. rng: draws the moments.
    """

    def __init__(self, nodes: str, folder: Path, rng: random.Random):
        self.nodes, self.root, self.rng = nodes, folder / "killed", rng
        self.phases: list[str] = []
        self.shards: list[int] = []
        self.begun = 1
        start = time.perf_counter()
        process = self.started(folder / "whole")
        self.until_first = seconds_to_shard(process, folder / "whole", 0)
        assert process.wait() == 0, "the run without kills failed"
        self.took = time.perf_counter() - start
        self.growing = self.took - self.until_first
        self.whole, self.all_shards = contents(folder / "whole"), len(shards(folder / "whole"))

    def started(self, root: Path) -> subprocess.Popen:
        words = [
            "data=custom",
            "data.path=null",
            f"+data.sources={{{self.nodes}}}",
            f"data.prepared={root}",
            f"workers={SOURCES}",
        ]
        command = [sys.executable, "-m", "bench.small_shards", "data", "prepare", *words]
        settings = os.environ | {"SHARD_ROWS": str(SHARD_ROWS)}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, env=settings, start_new_session=True, **quiet)

    def kill_once(self) -> None:
        """Starts the command and kills it, if it does not end before."""
        number, before, began = len(self.phases), len(shards(self.root)), time.time()
        process = self.started(self.root)
        if number % 5 == 0:
            wait(process, self.rng.uniform(0, self.until_first))
        else:
            seconds_to_shard(process, self.root, before)
            wait(process, self.rng.uniform(0, self.growing / 3))
        if process.poll() is not None:
            assert process.returncode == 0, "a start that was not killed failed"
            return self.compare_and_begin_anew()
        kill(process, alone=number % 3 == 0)
        if is_complete(self.root):
            return self.compare_and_begin_anew()
        self.phases.append(self.phase(before, began))
        self.shards.append(len(shards(self.root)))
        return None

    def compare_and_begin_anew(self) -> None:
        assert contents(self.root) == self.whole, "expected the bytes of a whole run; found others"
        shutil.rmtree(self.root)
        self.begun += 1

    def finish(self) -> None:
        assert self.started(self.root).wait() == 0, "the last start failed"
        assert contents(self.root) == self.whole, "expected the bytes of a whole run; found others"

    def phase(self, before: int, began: float) -> str:
        """What the command was doing, by what lies there."""
        left = [file.name for file in self.root.glob("*/.writing-*")]
        if any(not name.endswith(".images") for name in left):
            return "in the middle of a shard's or list's file"
        at_work = [file for file in self.root.glob("*/identity.json") if file.stat().st_mtime >= began]
        if left and len(shards(self.root)) > before:
            return "while rows were made into shards, after some of this start's were whole"
        if left:
            return "while rows were made into the first shard of this start"
        return "while rows of whole shards were gone through again" if at_work else "before any row was read"


def with_pictures(folder: Path) -> Path:
    """Rows of which every fourth has a picture, of which many share one."""
    (folder / "p").mkdir()
    rng = random.Random(0)
    for k in range(PICTURES):
        Image.effect_noise((64 + k % 50, 64), 60).save(folder / "p" / f"{k}.png")
    texts = [
        json.loads(line) for line in recombined(folder / "texts.jsonl", ROWS, seed=1).read_text(encoding="utf-8").splitlines()
    ]
    with (folder / "1.jsonl").open("w", encoding="utf-8") as out:
        for i, row in enumerate(texts):
            made = {"prompt": f"Question {i}", "chosen": row["chosen"], "rejected": row["rejected"] + "."}
            out.write(json.dumps(made | ({"images": [f"p/{rng.randrange(PICTURES)}.png"]} if i % 4 == 0 else {})) + "\n")
    return folder / "1.jsonl"


def seconds_to_shard(process: subprocess.Popen, root: Path, before: int) -> float:
    """Waits for a shard beyond those that are there, or the end of the command."""
    start = time.perf_counter()
    while process.poll() is None and len(shards(root)) <= before:
        time.sleep(0.01)
    return time.perf_counter() - start


def wait(process: subprocess.Popen, seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def kill(process: subprocess.Popen, *, alone: bool) -> None:
    """Ends when all processes of the command are gone."""
    os.kill(process.pid, signal.SIGKILL) if alone else os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 5  # where nobody collects the dead, they stay listed
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.01)


def shards(root: Path) -> list[Path]:
    return list(root.glob("*/shard-*.arrow"))


def is_complete(root: Path) -> bool:
    return len(list(root.glob("*/manifest.json"))) == SOURCES


def contents(root: Path) -> dict[str, str]:
    """Relative name -> hash, of the sources' folders without their locks."""
    files = (file for file in sorted(root.glob("*/*")) if file.name != ".lock" and os.path.isfile(file))
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


if __name__ == "__main__":
    main()
