"""A run that does not fit on a device -> the changes to its config that would make it fit, each tried on the config alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from basereward.compose import compose
from basereward.costs.account import Cost, Estimator, Memory
from basereward.errors import ConfigError
from basereward.settings import TrainSettings

CHANGES = (
    ("optim=adamw_8bit",),
    ("optim=adamw_kahan",),
    ("optim=adamw_stochastic", "optim.algorithm.moments=bfloat16"),
    ("optim=adamw_stochastic", "optim.algorithm.moments=bfloat16", "parts=frozen_vision"),
    ("parts=lora", "optim=adamw_bf16"),
    ("parts=qlora", "optim=adamw_bf16"),
)
"""From those that change least; docs/training.md says what each costs in quality and in bytes."""


def changes_that_fit(cost: Cost, estimator: Estimator) -> list[tuple[str, Memory]]:
    """(words of the command, memory with them) for each change after which the run fits; smaller forwards first."""
    memory = cost.memory
    if memory is None or memory.limit is None or memory.fits:
        return []
    found = _smaller_forward(memory)
    for words in CHANGES:
        try:
            after = _with(cost, words, estimator)
        except ConfigError:  # what this run is does not go together with it
            continue
        if after.fits:
            found.append((" ".join(words), after))
        else:
            found += [(f"{' '.join(words)} {text}", smaller) for text, smaller in _smaller_forward(after)]
    return found


def _with(cost: Cost, words: Sequence[str], estimator: Estimator) -> Memory:
    """The memory of a run with other words."""
    changed = compose("train", [*without(cost.wanted.overrides, words), *words, "run.dir=runs/plan"], TrainSettings)
    model = estimator.model(changed)
    assert model is not None, "the run itself has one"
    return estimator.memory(changed, model, estimator.data(changed, model))


def _smaller_forward(memory: Memory) -> list[tuple[str, Memory]]:
    """The token budget with which the rest of the memory is enough, where one of a thousand tokens is."""
    room = memory.limit - memory.before
    tokens = int(room / (memory.activations / memory.tokens)) // 1024 * 1024 if memory.activations else 0
    if room <= 0 or not 1024 <= tokens < memory.tokens:
        return []
    return [
        (f"batch.token_budget={tokens}", replace(memory, activations=memory.activations * tokens / memory.tokens, tokens=tokens))
    ]


def without(overrides: Sequence[str], words: Sequence[str]) -> list[str]:
    """The overrides but those of keys that the words set."""
    keys = {word.partition("=")[0] for word in words}
    return [override for override in overrides if override.partition("=")[0] not in keys]
