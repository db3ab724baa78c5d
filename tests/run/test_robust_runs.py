"""What goes wrong around a run: broken and foreign files, other data, diverging losses, two processes, reduced precision."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from basereward import checkpoint, run_lock, train
from basereward.compose import compose
from basereward.errors import BaseRewardError, CheckpointError, ConfigError
from basereward.run_directory import newest_checkpoint
from basereward.runtime import written_aside
from basereward.settings import TrainSettings
from basereward.trainer import RewardTrainer, no_data_parallel

STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


def stop_after(settings: TrainSettings, step: int) -> RewardTrainer:
    """Trains until the checkpoint of ``step`` is written, as if killed then."""
    trainer, _, _ = train.prepare(settings)
    save = trainer._save_checkpoint

    def save_and_stop(model, trial):
        save(model, trial)
        if trainer.state.global_step == step:
            raise KeyboardInterrupt

    trainer._save_checkpoint = save_and_stop
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    return trainer


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped after checkpoint-8; not to be written to."""
    from run_settings import SMALL

    folder = tmp_path_factory.mktemp("stopped") / "run"
    stop_after(compose("train", [*SMALL, f"run.dir={folder}", "run.keep=3"], TrainSettings), 8)
    return folder


@pytest.fixture
def resumed(stopped: Path, tmp_path: Path) -> TrainSettings:
    """Settings that resume a copy of ``stopped``, in whose config the place is the copy's."""
    from run_settings import SMALL

    run_dir = tmp_path / "run"
    shutil.copytree(stopped, run_dir)
    config = run_dir / "config.yaml"
    config.write_text(config.read_text().replace(str(stopped), str(run_dir)))
    return compose("train", [*SMALL, f"run.dir={run_dir}", "run.keep=3", "run.resume=true"], TrainSettings)


@pytest.mark.parametrize("final", ["best", "last"])
def test_a_bf16_run_ends_and_resumes_and_stays_bf16(small, final):
    """The probe is scored without the autocast that training runs under, and training goes on under it afterwards."""
    settings = small("run", "optim.precision=bf16", f"run.final={final}")
    trainer = stop_after(settings, 4)
    seen = []
    trainer.model.model.language_model.layers[0].mlp.register_forward_hook(lambda m, i, output: seen.append(output.dtype))
    step = next(iter(trainer.get_train_dataloader()))
    trainer.model(step.packs[0])
    assert seen == [torch.bfloat16]
    settings.run.resume = True
    assert train.run(settings) == 0
    checkpoint.load(settings.run.dir)


def test_files_of_a_checkpoint_have_the_permissions_of_the_umask(small):
    old = os.umask(0o027)
    try:
        settings = small("run", "run.max_steps=2", "run.eval_every=2")
        train.run(settings)
    finally:
        os.umask(old)
    files = list((Path(settings.run.dir) / "final").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}
    assert "model.safetensors" in {path.name for path in files}


def test_written_aside_leaves_closed_folders_closed(tmp_path):
    old = os.umask(0o077)
    try:
        with written_aside(tmp_path / "out") as aside:
            (aside / "a").write_text("a")
    finally:
        os.umask(old)
    assert (tmp_path / "out" / "a").stat().st_mode & 0o777 == 0o600


def test_the_tolerance_follows_the_spread_of_the_whole_probe():
    rows = [(None, np.array([0.1, -20.0])), (None, np.array([12.0, 3.0]))]
    assert checkpoint.probe_scale(rows) == 32
    assert checkpoint.probe_scale([(None, np.array([0.1, 0.2]))]) == 1
    assert checkpoint.reward_error(np.array([0.5, 3.0]), np.array([0.1, 3.0]), 32) == pytest.approx(0.0125)
    assert np.isnan(checkpoint.reward_error(np.array([np.nan]), np.array([1.0]), 32))


def test_a_failing_probe_says_whether_float32_passes(small, monkeypatch):
    settings = small("run", "run.max_steps=2", "run.eval_every=2")
    train.run(settings)
    final = Path(settings.run.dir) / "final"
    monkeypatch.setitem(checkpoint.PROBE_TOLERANCE, torch.bfloat16, 1e-9)
    monkeypatch.setitem(checkpoint.PROBE_TOLERANCE, torch.float32, 1e-5)
    with pytest.raises(CheckpointError, match=r"rounding in torch\.bfloat16: in float32 the same folder passes"):
        checkpoint.load(final, dtype=torch.bfloat16)
    probe = json.loads((final / "probe.json").read_text())
    probe["comparisons"][0]["rewards"][0] += 1
    (final / "probe.json").write_text(json.dumps(probe))
    with pytest.raises(CheckpointError, match="In float32 they differ too"):
        checkpoint.load(final, dtype=torch.bfloat16)


@pytest.mark.parametrize("name", [*STATES, "trainer_state.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_resume_refuses_a_checkpoint_without_its_state(resumed, name, damage):
    file = newest_checkpoint(Path(resumed.run.dir)) / name
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.write_text('{"steps": 3}')
    manifest = (Path(resumed.run.dir) / "data_manifest.json").read_bytes()
    with pytest.raises(CheckpointError, match=rf"(?s)checkpoint-8/{name}.*Remove this checkpoint's folder"):
        train.run(resumed)
    assert (Path(resumed.run.dir) / "data_manifest.json").read_bytes() == manifest
    shutil.rmtree(file.parent)
    train.prepare(resumed)


def test_resume_refuses_a_state_of_another_kind(resumed):
    """A file that torch reads, and that holds no optimizer's state."""
    torch.save({}, newest_checkpoint(Path(resumed.run.dir)) / "optimizer.pt")
    with pytest.raises(CheckpointError, match=r"optimizer\.pt or scheduler\.pt"):
        train.run(resumed)


@pytest.mark.parametrize(("text", "found"), [("a: [1", "not YAML"), ("", "found 'None'"), ("\x00\xff", "not YAML")])
def test_resume_refuses_a_broken_config(resumed, text, found):
    (Path(resumed.run.dir) / "config.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=rf"config\.yaml.*{found}"):
        train.run(resumed)


def test_resume_refuses_checkpoints_without_a_config(resumed):
    (Path(resumed.run.dir) / "config.yaml").unlink()
    with pytest.raises(ConfigError, match=r"config\.yaml.*no such file"):
        train.run(resumed)


def test_resume_refuses_a_folder_without_a_run(small):
    settings = small("notes")
    Path(settings.run.dir).mkdir()
    (Path(settings.run.dir) / "notes.txt").write_text("mine")
    for settings.run.resume in (False, True):
        with pytest.raises(ConfigError, match=r"holds other files.*notes\.txt") as caught:
            train.run(settings)
        assert "run.resume=true" not in str(caught.value)
    assert [path.name for path in Path(settings.run.dir).iterdir()] == ["notes.txt"]


def test_a_run_killed_before_its_config_begins_anew(small):
    settings = small("begun", "run.max_steps=2", "run.eval_every=2", "run.resume=true")
    Path(settings.run.dir).mkdir()
    (Path(settings.run.dir) / run_lock.LOCK).write_text("1")
    (Path(settings.run.dir) / ".writing-backbone").mkdir()
    assert train.run(settings) == 0


def mine(tmp_path: Path, rows: int) -> list[str]:
    file = tmp_path / "mine.jsonl"
    lines = [{"prompt": f"Say {i}.", "chosen": f"It is {i}.", "rejected": "No."} for i in range(rows)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ["data=custom", f"data.path={file}", "backbone=tiny", "batch.size=4", "run.max_steps=4", "run.eval_every=2",
            "run.tensorboard=false", f"run.dir={tmp_path / 'run'}"]  # fmt: skip


def test_resume_refuses_changed_data(tmp_path, tiny_folder):
    overrides = [f"backbone.path={tiny_folder}" if o == "backbone=tiny" else o for o in mine(tmp_path, 40)]
    stop_after(compose("train", overrides, TrainSettings), 2)
    manifest = (tmp_path / "run/data_manifest.json").read_bytes()
    mine(tmp_path, 44)
    settings = compose("train", [*overrides, "run.resume=true"], TrainSettings)
    with pytest.raises(ConfigError, match=r"(?s)data of the run.*rows_read: 40 then, 44 now.*sha256"):
        train.run(settings)
    assert (tmp_path / "run/data_manifest.json").read_bytes() == manifest
    mine(tmp_path, 40)
    assert train.run(settings) == 0


def test_a_diverging_run_stops_and_keeps_its_checkpoints(small, monkeypatch):
    settings = small("run", "run.keep=3")
    trainer, _, _ = train.prepare(settings)
    kind = type(trainer.loss)
    right = kind.__call__
    wrong = lambda *given: right(*given) * (float("nan") if trainer.state.global_step == 5 else 1)  # noqa: E731
    monkeypatch.setattr(kind, "__call__", wrong)
    with pytest.raises(BaseRewardError, match=r"loss of nan at step 6 \(comparisons demo-train.* of demo\).*optim\.lr"):
        trainer.train()
    assert [path.name for path in (Path(settings.run.dir) / "checkpoints").iterdir()] == ["checkpoint-4"]
    checkpoint.load(Path(settings.run.dir) / "checkpoints/checkpoint-4")


def test_weights_that_are_not_finite_are_not_written(small):
    """The step before a checkpoint has a finite loss and a gradient that is not."""
    settings = small("run")
    trainer, _, _ = train.prepare(settings)
    weight = next(parameter for parameter in trainer.model.parameters() if parameter.requires_grad)
    weight.register_hook(lambda grad: grad * (float("inf") if trainer.state.global_step == 7 else 1))
    with pytest.raises(BaseRewardError, match="nan or inf in .* at step 8"):
        trainer.train()
    assert [path.name for path in (Path(settings.run.dir) / "checkpoints").iterdir()] == ["checkpoint-4"]
    assert "NaN" not in (Path(settings.run.dir) / "metrics.jsonl").read_text()


def test_a_run_in_use_is_refused_and_free_after_a_kill(small):
    settings = small("run", "run.max_steps=2", "run.eval_every=2", "run.resume=true")
    run_dir = Path(settings.run.dir)
    run_dir.mkdir()
    script = f"from basereward.run_lock import lock; from pathlib import Path; lock(Path({str(run_dir)!r})); print(1, flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline()
        with pytest.raises(ConfigError, match=f"in use by process {holder.pid}"):
            train.run(settings)
    finally:
        holder.kill()
        holder.communicate()
    assert train.run(settings) == 0


def test_a_run_killed_after_its_last_checkpoint_takes_no_further_step(small):
    settings = small("run", "run.max_steps=10", "run.eval_every=5", "run.final=last")
    stop_after(settings, 10)
    settings.run.resume = True
    trainer, resume_from, _ = train.prepare(settings)
    trainer.train(resume_from_checkpoint=str(resume_from))
    assert trainer.state.global_step == 10


def test_a_run_killed_before_its_report_gets_it(small):
    settings = small("run", "run.max_steps=10", "run.eval_every=5")
    train.run(settings)
    run_dir = Path(settings.run.dir)
    weights = (run_dir / "final/model.safetensors").read_bytes()
    (run_dir / "report.html").unlink()
    settings.run.resume = True
    train.run(settings)
    assert (run_dir / "report.html").is_file()
    assert (run_dir / "final/model.safetensors").read_bytes() == weights


def test_a_finished_run_is_not_passed_off_as_one_with_another_config(small):
    train.run(small("run", "run.max_steps=2", "run.eval_every=2"))
    same = small("run", "run.max_steps=2", "run.eval_every=2", "run.resume=true")
    assert train.run(same) == 0
    with pytest.raises(ConfigError, match=r"run\.max_steps: 2 then, 4 now"):
        train.run(small("run", "run.max_steps=4", "run.eval_every=2", "run.resume=true"))


def test_changed_data_leave_the_metrics_as_they_were(resumed):
    """Refused before anything in the run is changed."""
    file = Path(resumed.run.dir) / "metrics.jsonl"
    with file.open("a") as rows:
        rows.write('{"step": 99, "loss": 1.0}\n')
    manifest = json.loads((Path(resumed.run.dir) / "data_manifest.json").read_text())
    manifest["split"]["val_ids"].pop()
    (Path(resumed.run.dir) / "data_manifest.json").write_text(json.dumps(manifest))
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=r"split\.val_ids: 23 ids then, 24 ids now"):
        train.run(resumed)
    assert file.read_bytes() == before


def test_one_device_is_used_also_where_there_are_more(small):
    trainer, _, _ = train.prepare(small("several"))
    trainer.args._n_gpu = 2
    no_data_parallel(trainer.args)
    assert trainer.args.n_gpu == 1
