"""The command line: ``basereward <stage> key=value ...``; each stage is one module with ``SETTINGS``, ``plan`` and ``run``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from basereward import __version__

# stage: (module, config file, one line). The modules are imported when they are asked for: --help must answer at once.
STAGES = {
    "train": ("basereward.train", "train", "train a reward model"),
    "evaluate": ("basereward.evaluate", "evaluate", "judge a model on a benchmark or a file of comparisons"),
    "score": ("basereward.score", "score", "write the rewards of every response of a file"),
    "export": ("basereward.export", "export", "a folder that plain transformers loads"),
    "data prepare": ("basereward.data_prepare", "data_prepare", "read every source once, into shards that training maps"),
    "data check": ("basereward.data_check", "data_check", "what a preference file holds and what is wrong with it"),
    "data show": ("basereward.data_show", "data_show", "comparisons and their distributions as one HTML page"),
}

USAGE = """basereward: train, judge and serve scalar reward models for image + text preferences

usage: basereward <stage> [key=value ...] [--dry-run] [--help] [--version]

{stages}

examples:
  basereward train experiment=demo run.dir=runs/demo
  basereward train data=custom data.path=my_pairs.jsonl run.dir=runs/mine
  basereward evaluate model=runs/demo benchmark=demo blind=true
  basereward score model=runs/demo input=pairs.jsonl output=scores.jsonl
  basereward export model=runs/demo out=runs/exported

--dry-run composes the config, checks it and prints the plan; nothing is trained or written.
basereward <stage> --help (or -h) lists the stage's keys and the options of each group."""
FLAGS = ("--dry-run", "--help", "--version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a stage; returns the exit code: 0 done, 1 done with failed items, 2 the user's mistake, 130 interrupted."""
    words = ["--help" if word == "-h" else word for word in (sys.argv[1:] if arguments is None else arguments)]
    flags = {word for word in words if word.startswith("--")}
    words = [word for word in words if not word.startswith("--")]
    if "--version" in flags:
        print(f"basereward {__version__}")
        return 0
    stage, overrides = _split_stage(words)
    if stage is None and (not words or "--help" in flags):
        print(USAGE.format(stages="\n".join(f"  {name:12} {line}" for name, (_, _, line) in STAGES.items())))
        return 0

    from basereward.errors import BaseRewardError

    try:
        _refuse_unknown(stage, words, flags)
        return _run(stage, overrides, flags)
    except BaseRewardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


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


def _run(stage: str, overrides: list[str], flags: set[str]) -> int:
    from basereward.compose import compose, groups

    module_name, config, line = STAGES[stage]
    if "--help" in flags:
        print(_stage_help(stage, line, config, groups()))
        return 0
    module = importlib.import_module(module_name)
    settings = compose(config, overrides, module.SETTINGS)
    if "--dry-run" in flags:
        print(module.plan(settings))
        return 0
    return module.run(settings) or 0


def _stage_help(stage: str, line: str, config: str, groups: dict[str, list[str]]) -> str:
    from basereward.compose import config_folder

    text = (config_folder() / f"{config}.yaml").read_text(encoding="utf-8")
    used = {name: names for name, names in groups.items() if f" {name}:" in text or f" /{name}" in text}
    listing = "\n".join(f"  {name}={' | '.join(names)}" for name, names in used.items())
    return f"basereward {stage}: {line}\n\nconf/{config}.yaml:\n\n{text}\ngroups:\n{listing or '  none'}"


if __name__ == "__main__":
    sys.exit(main())
