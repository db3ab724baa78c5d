"""Every head, pooling and loss trains with the same command and one changed word; what cannot be trained is refused first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from part_nodes import HEADS, LOSSES, POOLINGS, node

from basereward import checkpoint, train
from basereward.batches import ToStep
from basereward.comparisons import Comparisons
from basereward.compose import compose
from basereward.config import build
from basereward.encode import Encoder
from basereward.errors import ConfigError, DataError
from basereward.mixture import DataBundle
from basereward.records import parse_row
from basereward.settings import TrainSettings


def rankings(count: int, key: str, *, ties: bool = False) -> list[dict]:
    """Rows of three responses, the more often they say yes the better; every fourth all tied where asked for."""
    rows = []
    for index in range(count):
        values = [1, 1, 1] if ties and index % 4 == 0 else [2, 1, 1] if index % 3 == 0 else [2, 1, 0]
        responses = [f"{'yes ' * value}no {index}{'.' * place}" for place, value in enumerate(values)]
        order = values if key == "scores" else [max(values) - value for value in values]
        rows.append({"prompt": f"Question {index}?", "responses": responses, key: order})
    return rows


@pytest.fixture
def on(tmp_path: Path):
    """Settings of a 2-step run on rows of text; takes the rows and more overrides."""

    def make(rows: list[dict], *overrides: str) -> TrainSettings:
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        fixed = ["data=custom", f"data.path={file}", f"run.dir={tmp_path / 'run'}", "batch.size=8", "run.max_steps=2",
                 "run.eval_every=2", "run.log_every=1", "run.tensorboard=false", "optim.lr=1e-3", "optim.warmup=0",
                 "run.final=last"]  # fmt: skip
        return compose("train", [*fixed, *overrides], TrainSettings)

    return make


def logged(settings: TrainSettings) -> list[float]:
    rows = [json.loads(line) for line in (Path(settings.run.dir) / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.parametrize("head", HEADS)
def test_every_head_trains(head, on):
    settings = on(rankings(24, "ranks"), f"head={head}")
    assert train.run(settings) == 0
    model, _ = checkpoint.load(settings.run.dir)
    assert model.config.reward_head == node("head", head) and len(logged(settings)) == 2


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_trains_and_keeps_what_it_learned(pooling, on):
    settings = on(rankings(24, "ranks"), f"pooling={pooling}", "reward.length_norm=true")
    assert train.run(settings) == 0
    model, _ = checkpoint.load(settings.run.dir)
    assert model.config.reward_pooling == node("pooling", pooling) and model.length_norm
    assert all(parameter.any() for parameter in model.pooling.parameters()), "a query of zeros has learned nothing"


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(loss, on, tmp_path):
    rows = [row | {"id": f"q{index}"} for index, row in enumerate(rankings(24, "scores"))]
    overrides = [f"loss={loss}"]
    if train.make_loss(on(rows, *overrides)).needs_text_rewards:
        blind = tmp_path / "blind.jsonl"
        blind.write_text("".join(json.dumps({"id": row["id"], "rewards": [0.3, 0.1, -0.2]}) + "\n" for row in rows))
        overrides.append(f"data.text_only_scores={blind}")
    settings = on(rows, *overrides)
    assert train.run(settings) == 0 and all(value > 0 for value in logged(settings))


@pytest.mark.parametrize("loss", ["rao_kupper", "bradley_terry_ties"])
def test_rows_of_ties_alone_train_a_loss_that_reads_them(loss, on):
    settings = on(
        rankings(24, "ranks", ties=True), f"loss={loss}", "data.keep_ties=true", "data.val_fraction=0.3", "loss.unit=pair"
    )
    assert train.run(settings) == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["head.output_bias=true"], r"head\.output_bias: BradleyTerry sees differences.*exactly 0"),
        (["head=linear", "head.output_bias=true", "loss=plackett_luce"], "PlackettLuce sees differences"),
        (["head.output_bias=true", "loss=bradley_terry_centered", "loss.weights.centering=0"], "sees differences"),
        (["loss.label_smoothing=0.6"], r"label_smoothing"),
        (["loss=bradley_terry_centered", "loss.weights.order=0"], "tells better from worse"),
        (["loss=bradley_terry_ties", "loss.terms.order._target_=basereward.losses.rao_kupper.RaoKupper",
          "~loss.terms.order.label_smoothing"], "both likelihoods of the ties"),
        (["loss._target_=basereward.metrics.Outcome", "~loss.label_smoothing", "+loss.n=1", "+loss.correct=1", "+loss.ties=0",
          "+loss.wrong=0"], "expected a subclass"),
        (["pooling._target_=basereward.pooling.mean.Median"], "has no 'Median'"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_anything_is_read(overrides, message, on):
    settings = on(rankings(8, "ranks"), *overrides)
    Path(settings.data["path"]).unlink()
    with pytest.raises(ConfigError, match=message):
        train.prepare(settings)
    with pytest.raises(ConfigError, match=message):
        train.plan(settings)


@pytest.mark.parametrize(
    "overrides",
    [["loss=regression"], ["loss=bradley_terry_centered"], ["loss=bradley_terry_scores"], ["reward.length_norm=true"]],
    ids=" ".join,
)
def test_an_output_bias_is_allowed_where_something_trains_it(overrides, on):
    """Divided by the logarithm of the length, a bias is no longer the same for both responses."""
    settings = on(rankings(24, "scores"), "head.output_bias=true", *overrides)
    assert train.run(settings) == 0
    assert checkpoint.load(settings.run.dir)[0].score[-1].bias.abs() > 0


def test_under_bradley_terry_the_gradient_of_an_output_bias_is_zero():
    """Why it is refused."""
    from basereward.losses.labels import Labels

    head = build(node("head", "mlp") | {"output_bias": True}, key="head", hidden_size=8)
    labels = Labels.of([parse_row(row, where="x") for row in rankings(2, "ranks")])
    build(node("loss", "bradley_terry"))(head(torch.randn(6, 8)), labels).sum().backward()
    assert head[-1].bias.grad.abs() < 1e-7 < head[-1].weight.grad.abs().max()


@pytest.mark.parametrize(
    ("rows", "overrides", "message"),
    [
        (rankings(24, "ranks"), ["loss=regression"], "`scores`; found otherwise in 24 of the source 'custom'"),
        (rankings(24, "ranks", ties=True), ["data.keep_ties=true"], "not tied.*6 of the source 'custom'"),
        (rankings(24, "ranks"), ["data.val_fraction=0", "loss=bradley_terry_scores"], "`scores`"),
    ],
)
def test_data_that_the_loss_cannot_use_leave_no_run_behind(rows, overrides, message, on):
    settings = on(rows, *overrides)
    with pytest.raises(DataError, match=message):
        train.run(settings)
    assert not Path(settings.run.dir).exists()


def test_validation_data_of_ties_alone_are_refused():
    row = {"prompt": "p", "responses": ["a", "b"], "ranks": [0, 0]}
    tied = parse_row(row, where="x", keep_ties=True)
    with pytest.raises(DataError, match="validation comparisons with pairs"):
        train.check_data(build(node("loss", "rao_kupper")), DataBundle(Comparisons.of([tied]), Comparisons.of([tied]), {}))


def test_steps_without_a_pair_log_no_accuracy(on):
    """One group of tied rows to train on, another to validate: there is nothing to be right about in between."""
    rows = [*rankings(1, "ranks", ties=True) * 3, rankings(2, "ranks")[1]]
    settings = on(rows, "data.keep_ties=true", "data.val_fraction=0.3", "loss=rao_kupper")
    assert train.run(settings) == 0
    rows = [json.loads(line) for line in (Path(settings.run.dir) / "metrics.jsonl").read_text().splitlines()]
    assert not any("accuracy" in row for row in rows) and any("eval_accuracy" in row for row in rows)


def test_another_length_normalisation_than_the_models_is_refused(on, tmp_path):
    first = on(rankings(24, "ranks"), "reward.length_norm=true")
    train.run(first)
    again = [f"init_from={first.run.dir}", f"run.dir={tmp_path / 'again'}"]
    with pytest.raises(ConfigError, match="was trained with True, found False"):
        train.run(on(rankings(24, "ranks"), *again, "reward.length_norm=false"))
    train.run(on(rankings(24, "ranks"), *again))
    assert checkpoint.load(tmp_path / "again")[0].length_norm


@pytest.mark.parametrize(("count_ties", "total"), [(False, 2 * 3 + 1), (True, 3 * 3 + 1)])
def test_a_pair_weighs_one_and_so_does_a_tie_where_it_is_read(count_ties, total, tiny_folder):
    """Ranks 0, 0, 1 of weight 3: two pairs and a tie; and one pair of weight 1."""
    encoder = Encoder.from_folder(tiny_folder)
    rows = [
        {"prompt": "p", "responses": ["a", "b", "c"], "ranks": [0, 0, 1], "weight": 3},
        {"prompt": "p", "chosen": "a", "rejected": "b"},
    ]
    items = [encoder.encode(parse_row(row, where="x")) for row in rows]
    packs = [list(enumerate(items))]
    assert ToStep(encoder, "pair", count_ties=count_ties)(packs).total_weight == total
    assert ToStep(encoder, "comparison", count_ties=count_ties)(packs).total_weight == 4
