"""A folder is there whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from basereward import checkpoint
from basereward.runtime import written_aside


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(folder: Path, error: type[BaseException]) -> None:
    with written_aside(folder) as aside:
        (aside / "half").write_text("half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, error):
    with pytest.raises(error):
        write_half(tmp_path / "new", error)
    assert names(tmp_path) == []


def test_an_exception_leaves_what_was_there(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("first")
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "old", RuntimeError)
    assert (names(tmp_path), (tmp_path / "old" / "file").read_text()) == (["old"], "first")


KILLED = """
import os, signal, sys
from pathlib import Path
from basereward.runtime import written_aside
with written_aside(Path(sys.argv[1])) as aside:
    (aside / "config.json").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_the_name_free_and_the_next_write_clears_up(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "final")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert names(tmp_path) == [".writing-final"]
    with written_aside(tmp_path / "final") as aside:
        assert names(aside) == []
        (aside / "config.json").write_text("whole")
    assert (names(tmp_path), (tmp_path / "final" / "config.json").read_text()) == (["final"], "whole")


def test_a_failed_save_leaves_nothing(new_model, comparisons, tmp_path, monkeypatch):
    """The probe is the last thing that is written: by then the weights lie there already."""
    model, encoder = new_model({"_target_": "basereward.heads.linear.LinearHead"})

    def broken(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "write_probe", broken)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.save(model, encoder, tmp_path / "final", probe=comparisons)
    assert names(tmp_path) == []
