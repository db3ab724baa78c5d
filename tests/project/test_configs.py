"""Every YAML says what it is, every stage and every option of a group composes, and what it names can be built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from basereward.cli import STAGES
from basereward.compose import compose
from basereward.config import locate
from basereward.config_folders import config_folder, groups

CONF = Path(__file__).resolve().parents[2] / "conf"
FILES = sorted(file.relative_to(CONF).as_posix() for file in CONF.rglob("*.yaml"))
CONFIGS = {config: stage for stage, (_, config, _) in STAGES.items()}
# Groups whose options stand in the training config; the rest belong to evaluate (benchmark) or stand inside data (recipe).
TRAIN_GROUPS = ["backbone", "head", "pooling", "loss", "parts", "optim", "data", "experiment"]
TRAIN_OPTIONS = [(group, name) for group in TRAIN_GROUPS for name in groups()[group]]


@pytest.fixture(autouse=True)
def real_data(tmp_path, monkeypatch):
    """A plan looks whether the files are there, and opens none: empty ones, where the options say."""
    names = ("some/pairs.jsonl", "hh_rlhf/harmless-base_test.jsonl.gz", "ixc_reward_pair/example.json")
    reviews = OmegaConf.load(CONF / "recipe" / "llava_bench_reviews.yaml")
    parts = (reviews.reviews, reviews.questions, reviews.first_answers, reviews.second_answers)
    for name in (*names, *(f"llava_bench_wild_ratings/{part}" for part in parts)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BASEREWARD_REAL_DATA", str(tmp_path))


def complete(config: str, overrides: list[str]) -> list[str]:
    """The overrides with a value for each key that has none."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        node = OmegaConf.to_container(hydra_compose(config, overrides=overrides), resolve=False)
    return overrides + [f"{key}=some" for key, value in flat(node) if value == "???"]


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of each leaf."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f"{prefix}{key}.")
    else:
        yield prefix.removesuffix("."), node


@pytest.mark.parametrize("name", FILES)
def test_the_first_comment_says_what_it_is_and_a_command(name):
    lines = (CONF / name).read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    assert first.startswith("# ") and "basereward " in first, f"conf/{name}: {first}"


@pytest.mark.parametrize("name", FILES)
def test_targets_exist(name):
    node = OmegaConf.to_container(OmegaConf.load(CONF / name), resolve=False)
    for key, value in flat(node):
        assert key.rpartition(".")[2] != "_target_" or callable(locate(value, key=f"conf/{name}: {key}"))


def test_stages_and_top_level_configs_belong_together():
    assert {f"{config}.yaml" for config in CONFIGS} == {name for name in FILES if "/" not in name}


@pytest.mark.parametrize("config", CONFIGS)
def test_stages_compose(config):
    module = __import__(STAGES[CONFIGS[config]][0], fromlist=["SETTINGS"])
    assert isinstance(compose(config, complete(config, []), module.SETTINGS), module.SETTINGS)


@pytest.mark.parametrize(("group", "name"), TRAIN_OPTIONS)
def test_options_compose_and_plan_with_train(group, name):
    from basereward import train

    settings = compose("train", complete("train", [f"{group}={name}"]), train.SETTINGS)
    assert train.plan(settings)


@pytest.mark.parametrize("name", groups()["benchmark"])
def test_benchmarks_compose_with_evaluate(name):
    from basereward import evaluate

    assert compose("evaluate", complete("evaluate", [f"benchmark={name}"]), evaluate.SETTINGS).benchmark["_target_"]


@pytest.mark.parametrize("name", groups()["recipe"])
def test_recipes_compose_as_a_source(name):
    from basereward import train

    overrides = complete("train", [f"+recipe@data.sources.one={name}"])
    assert compose("train", overrides, train.SETTINGS).data["sources"]["one"]["_target_"]


@pytest.mark.parametrize("name", groups()["ablation"])
def test_grids_compose_with_ablate(name):
    from basereward.grids.command import read_grid

    assert read_grid([f"ablation={name}"]).spec.factors


def test_every_group_is_reached_by_a_test_above():
    assert set(groups()) == {*TRAIN_GROUPS, "benchmark", "recipe", "ablation", "launcher", "hardware"}
