"""Pairs of text: packed, against the padded sequence classifier of stock transformers and against trl.RewardTrainer, which trains it.

Without trl the classifier stands for it; where both are there, a row shows that they are one in loss and in speed.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, Qwen2ForSequenceClassification

from basereward.encode import Encoded
from bench import rows
from bench.inputs import draw
from bench.kinds.training import forwards, packs
from bench.measure import TRAINING, Side, floor, packed_side, run_rounds, stock_side
from bench.models import END, PADDING, Models, model_config
from bench.setting import Setting
from bench.table import Row, compared, skipped

TRL = "trl.RewardTrainer"
AS_FAST = 0.1  # by how much trl's seconds may differ from those of the classifier that stands for it


def measure(setting: Setting, name: str, case: dict) -> Iterator[Row]:
    """Ours against the classifier, against trl, and the two beside each other."""
    models, sizes = setting.models(sees=False, head="linear.LinearHead"), setting.sizes(sees=False)
    items = draw(case, setting.spec, models.stock.config)
    groups = forwards(items, case["comparisons"], rows.padded_tokens, setting.limit(case))
    model = classifier(models, setting)
    sides = {
        "ours": packed_side(models, packs(items, case, setting), sizes),
        "classifier": stock_side(models, groups, sizes, step=functools.partial(classifier_step, model)),
    }
    try:
        sides[TRL] = trl_side(model, groups, setting)
    except ImportError as error:
        yield skipped(f"{name} against {TRL}", f"{error}; pip install trl datasets")
    run_rounds(sides, models, setting.rounds, setting.clock)
    ratio = floor(sides["ours"], sides["classifier"], sizes, TRAINING)
    target = setting.target(case["target"])
    yield compared(name, "classifier", sides["ours"], sides["classifier"], target=target, floor=ratio)
    if TRL in sides:
        yield from against_trl(name, sides, target, ratio)


def against_trl(name: str, sides: dict[str, Side], target: float | None, ratio: float) -> Iterator[Row]:
    """What trl steps return are losses: they are compared with those of our rewards."""
    losses = {key: losses_of(sides[key].rewards, sides[TRL].origin) for key in ("ours", "classifier")}
    ours = Side(sides["ours"].steps, seconds=sides["ours"].seconds, rewards=losses["ours"])
    theirs = Side([], seconds=sides[TRL].seconds, rewards=sides[TRL].rewards)
    yield compared(name, TRL, ours, theirs, target=target, floor=ratio, note="(differences are of losses)")
    apart = abs(theirs.median / sides["classifier"].median - 1)
    yield Row(
        name, "classifier beside trl", apart, AS_FAST, at_most=True, unit=" apart in time",
        seconds=(sides["classifier"].median, theirs.median), difference=(losses["classifier"] - theirs.rewards).abs().max().item(),
    )  # fmt: skip


def losses_of(reward_R: torch.Tensor, pairs_of_step: Sequence[int]) -> torch.Tensor:
    """Mean loss of each step, from the rewards of its pairs, the chosen one first."""
    chosen_P, rejected_P = reward_R.view(-1, 2).T
    return torch.stack([part.mean() for part in (-F.logsigmoid(chosen_P - rejected_P)).split(list(pairs_of_step))])


def classifier(models: Models, setting: Setting) -> PreTrainedModel:
    """The stock sequence classifier with the weights of both sides."""
    config = model_config(setting.shape, sees=False)
    config.num_labels = 1
    with torch.device("meta"):
        model = Qwen2ForSequenceClassification(config)
    model.model = models.stock
    model.score.weight = torch.nn.Parameter(models.score.weight.detach().to(setting.dtype))
    return model


def classifier_step(model: PreTrainedModel, models: Models, batch: rows.Rows) -> torch.Tensor:
    """Forward and backward of the mean loss; (R,) rewards."""
    reward_R = model(**batch.inputs, use_cache=False).logits.squeeze(-1)
    chosen_P, rejected_P = reward_R.view(-1, 2).T
    (-F.logsigmoid(chosen_P - rejected_P)).mean().backward()
    return reward_R.detach()


def trl_side(model: PreTrainedModel, groups: Sequence[Sequence[Encoded]], setting: Setting) -> Side:
    """``training_step`` of trl's trainer on batches of its own collator: forward and backward, no optimizer."""
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    table = [
        [
            {f"{key}_ids": [*item.prefix_ids, *ids] for key, ids in zip(("chosen", "rejected"), item.response_ids)}
            for item in group
        ]
        for group in groups
    ]
    with tempfile.TemporaryDirectory() as folder:  # which the trainer makes at once; its steps write nothing
        options = RewardConfig(
            output_dir=folder, report_to="none", use_cpu=setting.device.type == "cpu", bf16=setting.dtype == torch.bfloat16,
            gradient_checkpointing=False, max_length=None,
        )  # fmt: skip
        trainer = RewardTrainer(model, options, train_dataset=Dataset.from_list(table[0]), processing_class=words())
    trainer.current_gradient_accumulation_steps = 1
    batches = [trainer.data_collator(group) for group in table]
    steps = [functools.partial(trl_step, trainer, batch) for batch in batches]
    return Side(steps, origin=np.array([len(group) for group in groups]), attention="sdpa")


def trl_step(trainer, batch: dict) -> torch.Tensor:
    """(1,) the loss."""
    return trainer.training_step(trainer.model, dict(batch)).view(1)


def words():
    """A tokenizer that knows the two special tokens, which is all that trl asks of one where ids are given."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    known = Tokenizer(WordLevel({"<pad>": PADDING, "<end>": END}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=known, pad_token="<pad>", eos_token="<end>")
