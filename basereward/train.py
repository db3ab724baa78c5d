"""Train a reward model.    basereward train experiment=demo run.dir=runs/demo"""

from __future__ import annotations

import itertools
import logging
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from transformers import TrainingArguments

from basereward import checkpoint
from basereward.adapters import has_lora
from basereward.against_paper import epoch_beside_paper, paper_table
from basereward.backbones.find import fetch_weights
from basereward.batches import UNITS, EncodedDataset, ToStep, check_unit
from basereward.callbacks import MetricsFile, Progress, tensorboard
from basereward.checks import (
    build_part,
    check_device,
    check_places,
    check_run_dir,
    check_values,
    is_created,
    settle_backbone,
    settle_start,
    unusable_run_dir,
)
from basereward.compose import to_yaml
from basereward.config import build
from basereward.errors import ConfigError, DataError, MissingDependency
from basereward.keeping import check_cache, kept_encoder
from basereward.losses.base import Loss
from basereward.mixture import DataBundle
from basereward.model import RewardModel
from basereward.parts import param_groups
from basereward.problems import counted, in_words
from basereward.report import write_report
from basereward.run_directory import check_same_config, cut_metrics, is_finished, newest_checkpoint, run_directory, write_records
from basereward.runtime import pick_device, seed_everything, set_up_logging
from basereward.scorer import Scorer
from basereward.settings import TrainSettings
from basereward.shares import MixtureOrder, account, shares_table
from basereward.start import start_model
from basereward.tied_rows import load_for
from basereward.trainable import (
    check_libraries,
    check_parts,
    check_precision,
    describe,
    make_optimizer,
    stored_dtype,
    weights_plan,
)
from basereward.trainer import RewardTrainer, trained_steps

SETTINGS = TrainSettings
# Comparisons scored for the report, spread evenly over the rows: enough to find mistakes among, a second's work for the demo.
REPORT_COMPARISONS = 64
# Training comparisons among which the probe is looked for where there are no validation rows.
PROBE_FROM = 2000

logger = logging.getLogger(__name__)


def plan(settings: TrainSettings) -> str:
    """What the run would do, after building every part that needs no weights and no data."""
    check(settings)
    if settings.init_from is not None and Path(checkpoint.resolve(settings.init_from)).is_dir():
        settle_start(settings)  # the head that it brings is the one to plan with
    settle_backbone(settings)
    lines = [to_yaml(settings), *weights_plan(settings)]
    if beside_paper := paper_table(settings.data.get("sources") or {}):
        lines += [beside_paper, ""]
    try:
        check_libraries(settings)
    except MissingDependency as error:
        lines.append(f"not on this machine: {error}")
    return "\n".join([*lines, "plan: the config composes and its parts build; nothing was read, trained or written"])


def run(settings: TrainSettings) -> int:
    """Trains and leaves a complete run directory; returns the exit code."""
    set_up_logging()
    run_dir = Path(settings.run.dir)
    check_run_dir(run_dir)
    if settings.run.resume and is_finished(run_dir):
        if settings.init_from is not None:
            settle_start(settings)  # the stored config names what it brought
        check_same_config(run_dir, settings)
        print(f"{run_dir} is finished; its model is {run_dir / checkpoint.FINAL}")
        return 0
    trainer, resume_from, probe = prepare(settings)
    try:
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    finally:
        next(callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Progress)).close()
    finish(trainer, settings, run_dir, probe)
    return 0


def prepare(settings: TrainSettings) -> tuple[RewardTrainer, Path | None, list]:
    """Everything up to the first step; nothing is left behind if any of it fails."""
    check(settings, here=True)
    check_libraries(settings)
    settle_start(settings)
    if settings.init_from is None and not is_created(settings):
        fetch_weights(settings.backbone.path, revision=settings.backbone.revision)
    loss = make_loss(settings)
    seed_everything(settings.run.seed)
    with ExitStack() as stack:
        run_dir = enter_run_directory(stack, settings)
        data = load_for(loss, settings.data, seed=settings.run.seed)
        check_data(loss, data)
        model, encoder = start_model(settings, loss)
        encoder = kept_encoder(settings, model, encoder)
        dataset = EncodedDataset(data.train, encoder, max_length=settings.batch.max_length, on_long=settings.batch.on_long)
        if not len(dataset):
            raise DataError(
                f"data: expected comparisons of at most batch.max_length={settings.batch.max_length} tokens, found none; longer: "
                f"{in_words(dataset.dropped)}; raise batch.max_length or lower backbone.max_pixels"
            )
        note_dropped(data, dataset)
        order = mix(data, dataset, settings.run.seed)
        probe = checkpoint.pick_probe(data.val or dataset.comparisons[:PROBE_FROM])
        resume_from = newest_checkpoint(run_dir) if settings.run.resume else None
        write_records(run_dir, settings, sys.argv[2:], data.manifest, getattr(model.config, "_commit_hash", None))
        cut_metrics(run_dir / "metrics.jsonl", trained_steps(resume_from) if resume_from else 0)
        logger.info("%s", describe(settings, model))
        show_example(dataset)
        trainer = make_trainer(settings, model, dataset, order, data, loss, probe, run_dir)
        trainer.get_train_dataloader()  # made again when training begins; here a failure still leaves nothing behind
    return trainer, resume_from, probe


def check(settings: TrainSettings, *, here: bool = False) -> None:
    """Refuses what the types alone let through, before the data are read, which can take long, and anything is written.

    Args:
        here: the run is to start on this machine, which must have the device.
    """
    check_values(settings)
    check_device(settings.run.device, here=here)
    check_parts(settings)
    check_precision(settings)
    check_cache(settings)
    build_part(settings.pooling, "pooling")
    head, loss = build_part(settings.new_head, "head"), make_loss(settings)
    if not settings.keeps_head:
        check_output_bias(head, loss, settings)
    check_places(settings)
    if here and loss.needs_text_rewards and not settings.data.get("text_only_scores"):
        raise ConfigError(
            f"data.text_only_scores: {loss.name} needs the rewards of a text-only model, found none; train one with "
            "data.without_images=true, score the same data with basereward score data=... blind=true, and name the output here "
            "(docs/heads_and_losses.md)"
        )


def enter_run_directory(stack: ExitStack, settings: TrainSettings) -> Path:
    """The run's directory for as long as ``stack`` lasts; what the system says when it cannot be made becomes our error."""
    try:
        return stack.enter_context(run_directory(settings))
    except OSError as error:
        raise unusable_run_dir(Path(settings.run.dir), error) from error


def make_loss(settings: TrainSettings) -> Loss:
    """The loss of the config, without the key that says what weighs 1."""
    check_unit(settings.loss.get("unit", UNITS[0]))
    loss = build({key: value for key, value in settings.loss.items() if key != "unit"}, key="loss")
    if not isinstance(loss, Loss):
        raise ConfigError(f"loss._target_: expected a subclass of basereward.losses.base.Loss, found {type(loss).__name__}")
    loss.check_alone()
    return loss


def check_output_bias(head: torch.nn.Module, loss: Loss, settings: TrainSettings) -> None:
    """Refuses a new head's output bias that nothing would train; one that ``init_from`` brings is kept (``keep_unseen_bias``)."""
    if getattr(head, "output_bias", False) and not loss.sees_shift and not settings.reward.length_norm:
        raise ConfigError(
            f"head.output_bias: {loss.name} sees differences of rewards alone, in which an output bias cancels, so its gradient is "
            "exactly 0; leave it out, or train with a loss that sees a shift (loss=regression, loss=bradley_terry_centered)"
        )


def check_data(loss: Loss, data: DataBundle) -> None:
    """Refuses data that the loss cannot use, and validation data without a pair to be right about."""
    loss.check_data(itertools.chain(data.train.preferences(), data.val))
    if data.val and not any(comparison.pairs for comparison in data.val):
        raise DataError(
            f"data: expected validation comparisons with pairs, by which the best checkpoint is chosen; found {len(data.val)}, all "
            "tied; raise data.val_fraction, or name a file in data.val"
        )


def note_dropped(data: DataBundle, dataset: EncodedDataset) -> None:
    """Adds the too long ones to the manifest and says so."""
    for source, count in dataset.dropped.items():
        data.manifest["sources"][source].setdefault("dropped", {})["longer than batch.max_length"] = count
        logger.warning("%s: longer than batch.max_length and dropped: %s", source, counted(count, "comparison"))


def mix(data: DataBundle, dataset: EncodedDataset, seed: int) -> MixtureOrder:
    """The order of the comparisons; what an epoch takes of each source goes into the manifest, and is said where there are several."""
    comparisons = dataset.comparisons
    order = MixtureOrder(comparisons.sizes, seed, data.mixture)
    facts = {"pairs": comparisons.num_pairs(), "tokens": dataset.lengths.packed, "images": comparisons.num_images()}
    data.manifest["mixture"] = account(order, {name: item["rows_read"] for name, item in data.manifest["sources"].items()}, facts)
    if len(order.quotas) > 1 or len(order) != len(dataset):
        logger.info("%s", shares_table(data.manifest["mixture"]))
    if beside_paper := epoch_beside_paper(data.manifest):
        logger.info("%s", beside_paper)
    return order


def show_example(dataset: EncodedDataset) -> None:
    """Prints the first comparison as the model sees it, image tokens folded."""
    encoder = dataset.encoder
    item = encoder.encode(dataset.comparisons[0], pixels=False)
    marker = encoder.chat.image_id
    folded = [t for t, before in zip(item.prefix_ids, [None, *item.prefix_ids[:-1]]) if not (t == marker and before == marker)]
    logger.info(
        "first comparison (%s, %d tokens, images folded):\n%s", item.id, item.lengths.packed, encoder.tokenizer.decode(folded)
    )
    for ids in item.response_ids:
        logger.info("  response: %s", encoder.tokenizer.decode(ids))
    logger.info("  pairs: %s", ", ".join(f"{p.better} better than {p.worse}" for p in item.pairs))


def make_trainer(
    settings: TrainSettings,
    model: RewardModel,
    dataset: EncodedDataset,
    order: MixtureOrder,
    data: DataBundle,
    loss: Loss,
    probe: Sequence,
    run_dir: Path,
) -> RewardTrainer:
    """The trainer with its callbacks."""
    board = tensorboard(run_dir / "tensorboard") if settings.run.tensorboard else None
    callbacks = [Progress(), MetricsFile(run_dir / "metrics.jsonl"), *([board] if board else [])]
    to_step = ToStep(
        dataset.encoder, settings.batch.token_budget, settings.loss.get("unit", "comparison"), count_ties=loss.reads_ties
    )
    return RewardTrainer(
        model=model, args=training_arguments(settings, run_dir, len(order), validate=bool(data.val)), dataset=dataset, order=order,
        val=data.val, probe=probe, loss=loss, average=settings.optim.average, to_step=to_step,
        make_optimizer=lambda model: make_optimizer(settings, param_groups(model, settings.parts, settings.optim)),
        workers=settings.batch.workers, keep=settings.run.keep, callbacks=callbacks,
    )  # fmt: skip


def training_arguments(settings: TrainSettings, run_dir: Path, num_comparisons: int, *, validate: bool) -> TrainingArguments:
    """Our settings in the Trainer's words; without validation rows there is no best checkpoint, only the last."""
    optim, run_ = settings.optim, settings.run
    steps = num_steps(settings, num_comparisons)
    best = {"metric_for_best_model": "accuracy", "greater_is_better": True} if validate else {}
    return TrainingArguments(
        output_dir=str(run_dir / "checkpoints"), per_device_train_batch_size=settings.batch.size, max_steps=steps,
        learning_rate=optim.lr, lr_scheduler_type=optim.schedule, warmup_steps=round(optim.warmup * steps),
        max_grad_norm=optim.max_grad_norm, bf16=optim.precision != "float32", use_cpu=pick_device(run_.device).type == "cpu",
        seed=run_.seed, data_seed=run_.seed,
        logging_steps=run_.log_every, eval_strategy="steps" if validate else "no", eval_steps=run_.eval_every, save_strategy="steps",
        save_steps=run_.eval_every, logging_nan_inf_filter=False, disable_tqdm=True, report_to="none",
        remove_unused_columns=False, dataloader_num_workers=settings.batch.workers, **best,
    )  # fmt: skip


def num_steps(settings: TrainSettings, num_comparisons: int) -> int:
    """Optimizer steps of the run."""
    per_epoch = -(-num_comparisons // settings.batch.size)
    return settings.run.max_steps or max(1, round(settings.run.epochs * per_epoch))


def finish(trainer: RewardTrainer, settings: TrainSettings, run_dir: Path, probe: Sequence) -> None:
    """Writes ``final/`` from the best or the last weights and the report about it, and says where they are."""
    best = trainer.state.best_model_checkpoint
    with trainer.averaged():
        model = checkpoint.load(best, dtype=stored_dtype(settings))[0] if settings.run.final == "best" and best else trainer.model
        if settings.parts.quantize is None:  # weights in 4 bits live on the device alone
            model.to("cpu")
        checkpoint.save(model, trainer.encoder, run_dir / checkpoint.FINAL, probe=probe)
    if is_created(settings) and not has_lora(model):
        shutil.rmtree(run_dir / "backbone", ignore_errors=True)
    page = report_final(trainer, model, run_dir)
    print(
        f"\nrun: {run_dir}   model: {run_dir / checkpoint.FINAL}   report: {page}   ({counted(trainer.state.global_step, 'step')})"
    )


def report_final(trainer: RewardTrainer, model: RewardModel, run_dir: Path) -> Path:
    """Scores some validation comparisons, or training ones where there are none, with the final model and writes the report.

    Comparisons of tied responses alone are left out: there is nothing to be right about.
    """
    split, comparisons = ("validation", trainer.val) if trainer.val else ("training", trainer.train_dataset.comparisons)
    usable = np.flatnonzero(comparisons.num_pairs())
    num_scored = min(REPORT_COMPARISONS, len(usable))
    chosen = [comparisons[int(usable[i * len(usable) // num_scored])] for i in range(num_scored)]
    trainer.model.to("cpu")  # room on the device for the final weights, which may be others
    scorer = Scorer(model.to(trainer.args.device), trainer.val_scorer.encoder, token_budget=trainer.to_step.token_budget,
                    autocast=trainer.val_scorer.autocast)  # fmt: skip
    return write_report(run_dir, chosen, list(scorer.score_comparisons(chosen)), split=split)
