"""The command line with shards of `$SHARD_ROWS` rows, so that a run of seconds writes many.

    SHARD_ROWS=128 python -m bench.small_shards data prepare data=custom data.path=my_pairs.jsonl

The processes that the command starts import this module too, and have the same shards.
"""

from __future__ import annotations

import os
import sys

from basereward.cli import main
from basereward.store import writing

writing.SHARD_ROWS = int(os.environ["SHARD_ROWS"])

if __name__ == "__main__":
    sys.exit(main())
