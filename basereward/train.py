"""Train a reward model.    basereward train experiment=demo run.dir=runs/demo"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from basereward import checkpoint, ranks
from basereward.adapters import has_lora
from basereward.against_paper import paper_table
from basereward.backbones.find import fetch_weights
from basereward.batches import UNITS, check_unit
from basereward.callbacks import Paused, Progress
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
from basereward.errors import ConfigError, MissingDependency
from basereward.keeping import check_cache, kept_encoder
from basereward.losses.base import Loss
from basereward.model import RewardModel
from basereward.problems import counted
from basereward.report import write_report
from basereward.run_directory import (
    check_same_config,
    cut_metrics,
    is_finished,
    is_paused,
    newest_checkpoint,
    run_directory,
    write_records,
)
from basereward.runtime import seed_everything, set_up_logging
from basereward.scorer import Scorer
from basereward.settings import TrainSettings
from basereward.start import start_model
from basereward.tied_rows import load_for
from basereward.train_data import check_data, encode_data, mix, show_example
from basereward.train_parts import check_pause, make_trainer
from basereward.trainable import (
    check_libraries,
    check_parts,
    check_precision,
    describe,
    stored_dtype,
    weights_plan,
)
from basereward.trainer import RewardTrainer
from basereward.training_state import trained_steps

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
    """Trains and leaves a complete run directory; returns the exit code. Of several processes rank 0 tells and writes."""
    set_up_logging()
    check_device(settings.run.device, here=True)
    ranks.start(settings.run.device)
    if not ranks.is_main():
        logging.getLogger("basereward").setLevel(logging.ERROR)
    run_dir = Path(settings.run.dir)
    check_run_dir(run_dir)
    if settings.run.resume and is_finished(run_dir):
        if settings.init_from is not None:
            settle_start(settings)  # the stored config names what it brought
        check_same_config(run_dir, settings)
        if ranks.is_main():
            print(f"{run_dir} is finished; its model is {run_dir / checkpoint.FINAL}")
        return 0
    if settings.run.resume and is_paused(run_dir, settings.run.pause_at):
        return tell_pause(settings)
    trainer, resume_from, probe = prepare(settings)
    try:
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    except Paused:
        return tell_pause(settings)
    finally:
        for callback in trainer.callback_handler.callbacks:
            if isinstance(callback, Progress):
                callback.close()
    if ranks.is_main():
        finish(trainer, settings, run_dir, probe)
    ranks.leave()
    return 0


def tell_pause(settings: TrainSettings) -> int:
    """Says where a run stopped before its end, as ``run.pause_at`` asked; returns the exit code."""
    if ranks.is_main():
        steps = trained_steps(newest_checkpoint(Path(settings.run.dir)))
        print(f"\nrun: {settings.run.dir}   paused after {counted(steps, 'step')}; run.resume=true goes on")
    ranks.leave()
    return 0


def prepare(settings: TrainSettings) -> tuple[RewardTrainer, Path | None, list]:
    """Everything up to the first step; nothing is left behind if any of it fails.

    Of several processes rank 0 goes first: it takes the directory and prepares what the others then find there.
    """
    with ExitStack() as stack:
        with ranks.main_first():
            check(settings, here=True)
            check_libraries(settings)
            settle_start(settings)
            if settings.init_from is None and not is_created(settings):
                fetch_weights(settings.backbone.path, revision=settings.backbone.revision)
            loss = make_loss(settings)
            seed_everything(settings.run.seed)
            run_dir = enter_run_directory(stack, settings)
            data = load_for(loss, settings.data, seed=settings.run.seed)
            check_data(loss, data)
            model, encoder = start_model(settings, loss)
            dataset = encode_data(data, kept_encoder(settings, model, encoder), settings.batch)
            order = mix(data, dataset, settings.run.seed)
            probe = checkpoint.pick_probe(data.val or dataset.comparisons[:PROBE_FROM])
            resume_from = newest_checkpoint(run_dir) if settings.run.resume else None
            if ranks.is_main():
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
    check_pause(settings.run)
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
    """The run's directory for as long as ``stack`` lasts; what the system says when it cannot be made becomes our error.

    Rank 0 alone takes it and looks at what is there; for the others it is one that a process holds.
    """
    if not ranks.is_main():
        return Path(settings.run.dir)
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
    scorer = Scorer(model.to(trainer.args.device), trainer.val_scorer.encoder, token_budget=trainer.val_scorer.token_budget,
                    autocast=trainer.val_scorer.autocast)  # fmt: skip
    return write_report(run_dir, chosen, list(scorer.score_comparisons(chosen)), split=split)
