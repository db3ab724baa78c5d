"""`basereward data prepare` killed (SIGKILL) at random moments, with two sources in two processes: the bytes are those of a whole run.

    BASEREWARD_REAL_DATA=<folder> python -m bench.kills --kills 20

Only kills that met the command with shards still to write are counted; a start that ends by itself is followed by a new one in an empty
folder. Needs hydra-core beside what the other benchmarks need, since it gives the command itself.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.data import RECIPE, recombined

ROWS = 12_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.kills", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [recombined(folder / f"{k}.jsonl", ROWS, seed=k) for k in range(2)]
        start = time.perf_counter()
        assert subprocess.run(command(files, folder / "whole"), check=False, capture_output=True).returncode == 0
        took = time.perf_counter() - start
        whole = contents(folder / "whole")
        met, begun, shards = 0, 1, []
        while met < args.kills:
            done = killed(command(files, folder / "killed"), rng.uniform(0.3, 1) * took)
            if done or len(list((folder / "killed").glob("*/manifest.json"))) == 2:
                assert contents(folder / "killed") == whole, "a start that ended by itself left other bytes"
                shutil.rmtree(folder / "killed")
                begun += 1
            else:
                met += 1
                shards.append(len(list((folder / "killed").glob("*/shard-*.arrow"))))
        last = subprocess.run(command(files, folder / "killed"), check=False, capture_output=True, text=True)
        assert last.returncode == 0, last.stderr[-2000:]
        assert contents(folder / "killed") == whole, "expected the bytes of a whole run; found others"
    print(f"{met} kills of starts at work ({took:.1f} s without one), {begun} times from an empty folder, with {shards} shards there at "
          f"the moments of the kills: {len(whole)} files, the bytes of a whole run")  # fmt: skip


def command(files: list[Path], root: Path) -> list[str]:
    nodes = ",".join(f"s{k}:{{_target_:{RECIPE},path:{file}}}" for k, file in enumerate(files))
    words = ["data=custom", "data.path=null", f"+data.sources={{{nodes}}}", f"data.prepared={root}", "workers=2"]
    return [sys.executable, "-m", "basereward.cli", "data", "prepare", *words]


def killed(words: list[str], seconds: float) -> bool:
    """Whether the command ended before its time."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        process.kill()  # the command alone: its processes have to notice
        process.wait()
        return False


def contents(root: Path) -> dict[str, str]:
    """Relative name -> hash, of the sources' folders without their locks."""
    files = (file for file in sorted(root.glob("*/*")) if file.name != ".lock" and os.path.isfile(file))
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


if __name__ == "__main__":
    main()
