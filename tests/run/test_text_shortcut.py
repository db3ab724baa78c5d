"""A text-only model is trained, scores the training data blind, and weighs the pairs of the main run: each step as it is typed."""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path

import pytest
import shortcut_rows

from basereward import data_prepare, score, train
from basereward.batches import EncodedDataset
from basereward.compose import compose
from basereward.errors import ConfigError, DataError
from basereward.mixture import load_data
from basereward.settings import ScoreSettings, TrainSettings
from basereward.store.stored import Stored

FEW = {"train": 48, "val": 12, "plain": 1, "right": 1, "misleading": 1}
SMALL = ("batch.size=8", "run.max_steps=4", "run.eval_every=2", "run.log_every=2", "run.tensorboard=false", "optim.lr=1e-3")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> tuple[Path, list[str]]:
    """The folder of the runs, and the overrides of their data."""
    folder = tmp_path_factory.mktemp("shortcut")
    files = shortcut_rows.write(folder / "rows", FEW)
    return folder, ["data=custom", f"data.path={files['train']}", f"data.val={files['val']}"]


def run(place: tuple[Path, list[str]], name: str, *overrides: str) -> Path:
    run_dir = place[0] / name
    train.run(compose("train", [*place[1], *SMALL, f"run.dir={run_dir}", *overrides], TrainSettings))
    return run_dir


def scored(place: tuple[Path, list[str]], model: Path, name: str, *overrides: str) -> Path:
    output = place[0] / name
    command = [f"model={model}", *place[1], f"output={output}", "device=cpu", *overrides]
    assert score.run(compose("score", command, ScoreSettings)) == 0
    return output


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def blind(place) -> Path:
    """The output of a text-only model on the data of the main run."""
    return scored(place, run(place, "text", "data.without_images=true"), "blind.jsonl", "blind=true")


def test_the_text_only_run_sees_no_picture(place, blind):
    data = {"path": place[1][1].partition("=")[2], "val": place[1][2].partition("=")[2]}
    seen, seeing = (load_data(data | {"without_images": flag}, seed=0) for flag in (True, False))
    assert not any(item.images for item in [*seen.train, *seen.val]) and all(item.images for item in seeing.train)
    assert [item.id for item in seen.train] == [item.id for item in seeing.train]
    split = load_data({"path": data["path"], "without_images": True}, seed=3), load_data({"path": data["path"]}, seed=3)
    assert split[0].manifest["split"] == split[1].manifest["split"], "the two runs would validate on other rows"


def test_every_comparison_of_the_run_is_scored_under_its_id_and_without_its_picture(place, blind):
    rows = lines(blind)
    assert [row["source"] for row in rows] == ["custom"] * 48 + ["val"] * 12
    assert len({(row["source"], row["id"]) for row in rows}) == 60
    seeing = lines(scored(place, place[0] / "text", "seeing.jsonl"))
    assert [row["id"] for row in seeing] == [row["id"] for row in rows]
    assert sum(a["rewards"] != b["rewards"] for a, b in zip(rows, seeing)) == 60


def test_the_rewards_reach_the_loss_and_the_weight_is_reported(place, blind):
    run_dir = run(place, "main", "loss=bradley_terry_shortcut", f"data.text_only_scores={blind}")
    trained, validated = ([row[key] for row in lines(run_dir / "metrics.jsonl") if key in row] for key in ("sfc", "eval_sfc"))
    assert len(trained) == 2 and len(validated) == 2 and all(0 < value < 1 for value in trained + validated)
    plain = lines(run(place, "plain") / "metrics.jsonl")
    assert not any("sfc" in row or "eval_sfc" in row for row in plain)
    first, ours = (next(row["loss"] for row in rows if "loss" in row) for rows in (plain, lines(run_dir / "metrics.jsonl")))
    assert 0 < ours < first, "SFC times the loss is less than the loss"


def test_rewards_are_those_of_the_same_comparison(place, blind):
    data = {"path": place[1][1].partition("=")[2], "val": place[1][2].partition("=")[2], "text_only_scores": str(blind)}
    wanted = {(row["source"], row["id"]): tuple(row["rewards"]) for row in lines(blind)}
    bundle = load_data(data, seed=0)
    assert {(item.source, item.id): item.text_rewards for item in [*bundle.train, *bundle.val]} == wanted


def test_the_labels_of_a_pack_hold_them(place, blind, tiny_folder):
    from basereward.encode import Encoder
    from basereward.packing import collate

    data = {"path": place[1][1].partition("=")[2], "text_only_scores": str(blind), "val_fraction": 0}
    encoder = Encoder.from_folder(tiny_folder)
    dataset = EncodedDataset(load_data(data, seed=0).train[:2], encoder, max_length=None, on_long="error")
    labels = collate([dataset[0], dataset[1]], encoder.patch_settings).labels
    expected = [reward for row in lines(blind)[:2] for reward in row["rewards"]]
    assert labels.text_reward_R.tolist() == pytest.approx(expected, rel=1e-6)


def test_prepared_sources_are_changed_alike(place, blind, monkeypatch, tmp_path):
    """Read from shards, the pictures are removed and the rewards met as they are when the rows are read."""
    scores = ("loss=bradley_terry_shortcut", f"data.text_only_scores={blind}")
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path))
    direct = [run(place, "direct-text", "data.without_images=true"), run(place, "direct-main", *scores)]
    assert data_prepare.run(compose("data_prepare", place[1], data_prepare.SETTINGS)) == 0
    prepared = [run(place, "prepared-text", "data.without_images=true"), run(place, "prepared-main", *scores)]
    data = {"path": place[1][1].partition("=")[2], "val": place[1][2].partition("=")[2]}
    assert all(isinstance(view.part, Stored) for view in load_data(data, seed=0).train.views)
    for one, other in zip(direct, prepared):
        mine, theirs = (
            [row.get("loss", row.get("eval_loss")) for row in lines(folder / "metrics.jsonl")] for folder in (one, other)
        )
        assert mine == theirs and len(mine) >= 4
        images = [json.loads((folder / "data_manifest.json").read_text())["mixture"]["sources"] for folder in (one, other)]
        assert images[0] == images[1]
    assert json.loads((direct[0] / "data_manifest.json").read_text())["mixture"]["sources"]["custom"]["images"] == 0


def test_without_a_file_of_rewards_nothing_is_read(place):
    with pytest.raises(ConfigError, match=r"data\.text_only_scores: BradleyTerryShortcut needs the rewards of a text-only model"):
        run(place, "none", "loss=bradley_terry_shortcut")
    assert not (place[0] / "none").exists()
    with pytest.raises(DataError, match=r"data\.text_only_scores: expected an output of basereward score, found no file .*gone"):
        run(place, "none", "loss=bradley_terry_shortcut", "data.text_only_scores=gone.jsonl")


def test_a_comparison_without_rewards_is_refused_by_name(place, blind, tmp_path):
    rows = lines(blind)
    rows[5] = {"id": rows[5]["id"], "error": "too long"}
    short = tmp_path / "short.jsonl"
    short.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=rf"in 1 of the source 'custom', such as '{rows[5]['id']}'"):
        run(place, "short", "loss=bradley_terry_shortcut", f"data.text_only_scores={short}")
    only = f"data.text_only_scores={{custom: {blind}}}"
    with pytest.raises(DataError, match="in 12 of the source 'val'"):
        run(place, "short", "loss=bradley_terry_shortcut", only)


def test_what_is_scored_of_a_data_config_is_continued_after_an_interruption(place, blind, monkeypatch):
    class Stop(BaseException):
        """A kill in the middle."""

    right = score.score_items

    def limited(rm, items, **options):
        yield from islice(right(rm, items, **options), 32)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(score, "WINDOW", 16)
        patch.setattr(score, "score_items", limited)
        with pytest.raises(Stop):
            scored(place, place[0] / "text", "again.jsonl", "blind=true")
    assert len(lines(place[0] / "again.jsonl.part")) == 32
    with pytest.raises(ConfigError, match="begun with another blind"):
        scored(place, place[0] / "text", "again.jsonl")
    again = lines(scored(place, place[0] / "text", "again.jsonl", "blind=true"))
    assert [row["id"] for row in again] == [row["id"] for row in lines(blind)]
    for one, other in zip(again, lines(blind)):
        assert all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(one["rewards"], other["rewards"]))


def test_an_input_or_data_is_asked_for(place):
    for given in ([], [f"input={place[0]}/rows/train.jsonl", *place[1]]):
        with pytest.raises(ConfigError, match="input, data: expected input=<file> or data=<name"):
            score.plan(compose("score", [f"model={place[0]}/text", "output=x.jsonl", *given], ScoreSettings))
