"""The command line: ``basereward <stage> key=value ...``; each stage is one module with ``SETTINGS``, ``plan`` and ``run``."""

from __future__ import annotations

import errno
import importlib
import os
import select
import sys
from collections.abc import Sequence

from basereward import __version__

# stage: (module, config file, one line). The modules are imported when they are asked for: --help must answer at once.
STAGES = {
    "train": ("basereward.train", "train", "train a reward model"),
    "evaluate": ("basereward.evaluate", "evaluate", "judge a model on a benchmark or a file of comparisons"),
    "ablate": ("basereward.ablate", "ablate", "train and judge every cell of a grid; finished runs are skipped"),
    "diagnose": ("basereward.diagnose", "diagnose", "what the accuracy does not tell: calibration, length, drift, mistakes"),
    "score": ("basereward.score", "score", "write the rewards of every response of a file"),
    "export": ("basereward.export", "export", "a folder that plain transformers loads"),
    "report": ("basereward.report_stage", "report", "one page about a run, several beside one another, or a grid with its table"),
    "plan": ("basereward.plan", "plan", "what a run or a grid will cost, before it starts"),
    "data prepare": ("basereward.data_prepare", "data_prepare", "read every source once, into shards that training maps"),
    "data check": ("basereward.data_check", "data_check", "what a preference file holds and what is wrong with it"),
    "data show": ("basereward.data_show", "data_show", "comparisons and their distributions as one HTML page"),
}

USAGE = """basereward: train, judge and serve scalar reward models for image + text preferences

usage: basereward <stage> [key=value ...] [--config-dir DIR] [--dry-run] [--status] [--help] [--version]

{stages}

examples:
  basereward train experiment=demo run.dir=runs/demo
  basereward train data=custom data.path=my_pairs.jsonl run.dir=runs/mine
  basereward evaluate model=runs/demo benchmark=demo blind=true
  basereward ablate ablation=heads_tiny
  basereward score model=runs/demo input=pairs.jsonl output=scores.jsonl
  basereward export model=runs/demo out=runs/exported
  basereward report runs=[runs/demo,runs/mine] out=comparison.html

--dry-run composes the config, checks it and prints the plan; nothing is trained or written.
--status is status=true: how far a grid is.
--config-dir DIR also looks for YAML files of your own: DIR/data/my_mix.yaml is data=my_mix.
basereward <stage> --help (or -h) lists the stage's keys and the options of each group."""
CONFIG_DIR = "--config-dir"
STATUS = "--status"
FLAGS = (CONFIG_DIR, "--dry-run", STATUS, "--help", "--version")
# What a shell reports of a program that SIGPIPE ended, as it ends cat or grep when nobody reads on: 128 + 13. The work is not done, or
# its end was not told, so it is not 0.
NOBODY_READS = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a stage; returns the exit code: 0 done, 1 done with failed items, 2 the user's mistake, 130 interrupted, 141 nobody reads."""
    try:
        code = _answer(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()  # here and not at Python's end, where a closed pipe is a warning that nothing can catch
        return code
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        _close_quietly()
        return NOBODY_READS
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _close_quietly()
        print(f"error: expected room to write; found none ({error.strerror}: {error.filename or 'the output'}); free some and start again",
              file=sys.stderr)  # fmt: skip
        return 2


def _answer(arguments: Sequence[str]) -> int:
    from basereward.errors import BaseRewardError

    try:
        words, folder = _take_folder(["--help" if word == "-h" else word for word in arguments])
        flags = {word for word in words if word.startswith("--")}
        words = [word for word in words if not word.startswith("--")]
        if "--version" in flags:
            print(f"basereward {__version__}")
            return 0
        stage, overrides = _split_stage(words)
        if stage is None and (not words or "--help" in flags):
            print(USAGE.format(stages="\n".join(f"  {name:12} {line}" for name, (_, _, line) in STAGES.items())))
            return 0
        _refuse_unknown(stage, words, flags)
        return _run(stage, overrides, flags, folder)
    except BaseRewardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _take_folder(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The words without ``--config-dir DIR`` or ``--config-dir=DIR``, and DIR.

    Raises:
        ConfigError: the flag without a folder.
    """
    from basereward.errors import ConfigError

    left, folder, waiting = [], None, iter(words)
    for word in waiting:
        flag, equals, value = word.partition("=")
        if flag != CONFIG_DIR:
            left.append(word)
            continue
        folder = value if equals else next(waiting, "")
        if not folder or folder.startswith("--"):
            raise ConfigError(f"{CONFIG_DIR}: expected a folder behind it; found {folder or 'none'}; write {CONFIG_DIR} DIR")
    return left, folder


def _nobody_reads() -> bool:
    """Whether the other end of our output is closed; a pipe to a process of our own can break too, and that is an error."""
    if not hasattr(select, "poll"):  # Windows
        return True
    asked = select.poll()
    for stream in (sys.stdout, sys.stderr):
        try:
            asked.register(stream.fileno(), 0)
        except (OSError, ValueError):  # no file behind it, or closed
            continue
    return any(event & select.POLLERR for _, event in asked.poll(0))


def _close_quietly() -> None:
    """What is left to be written goes nowhere: Python writes it out when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())


def _split_stage(words: Sequence[str]) -> tuple[str | None, list[str]]:
    for length in (2, 1):
        if " ".join(words[:length]) in STAGES:
            return " ".join(words[:length]), list(words[length:])
    return None, []


def _refuse_unknown(stage: str | None, words: Sequence[str], flags: set[str]) -> None:
    from basereward.errors import ConfigError, near_matches

    if stage is None:
        name = " ".join(word for word in words[:2] if "=" not in word)
        raise ConfigError(f"{name or words[0]!r}: no such stage; {near_matches(name, STAGES)}")
    for flag in flags.difference(FLAGS):
        raise ConfigError(f"{flag}: no such flag; {near_matches(flag, FLAGS)}")


def _run(stage: str, overrides: list[str], flags: set[str], folder: str | None) -> int:
    from basereward.compose import compose
    from basereward.config_folders import groups, looking_in

    module_name, config, line = STAGES[stage]
    with looking_in(folder):
        if "--help" in flags:
            print(_stage_help(stage, line, config, groups()))
            return 0
        module = importlib.import_module(module_name)
        words = [*overrides, *(["status=true"] if STATUS in flags else [])]
        # A stage whose command line holds words of another stage reads it by itself.
        settings = module.read_words(words) if hasattr(module, "read_words") else compose(config, words, module.SETTINGS)
        if "--dry-run" in flags:
            print(module.plan(settings))
            return 0
        return module.run(settings) or 0


def _stage_help(stage: str, line: str, config: str, groups: dict[str, list[str]]) -> str:
    from basereward.config_folders import config_folder

    text = (config_folder() / f"{config}.yaml").read_text(encoding="utf-8")
    used = {name: names for name, names in groups.items() if f" {name}:" in text or f" /{name}" in text}
    listing = "\n".join(f"  {name}={' | '.join(names)}" for name, names in used.items())
    return f"basereward {stage}: {line}\n\nconf/{config}.yaml:\n\n{text}\ngroups:\n{listing or '  none'}"


if __name__ == "__main__":
    sys.exit(main())
