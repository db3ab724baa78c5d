"""Rows that are not at hand: a Hub that cannot be reached is asked once, and every hint names the key that can be followed."""

from __future__ import annotations

import json
import logging

import pytest
from basereward.data_recipes.custom import Custom

from basereward.benchmarks.custom import CustomBenchmark
from basereward.benchmarks.group import members
from basereward.chat import ChatFormat
from basereward.cli import main
from basereward.errors import DataError
from basereward.problems import BadRows
from basereward.published import beside_published

SIX = {"prompt": "2 + 2?", "chosen": ["4", "4.", "*4*"], "rejected": ["5", "5.", "*5*"]}


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Datasets that the Hub was asked for; it never answers."""
    datasets, names = pytest.importorskip("datasets"), []

    def no_way(name, *args, **kwargs):
        names.append(name)
        raise ConnectionError(f"Couldn't reach {name}")

    monkeypatch.setattr(datasets, "load_dataset", no_way)
    monkeypatch.setattr("basereward.data_place.commit_on_hub", lambda card: None)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return names


def words(run, *more: str) -> list[str]:
    return ["evaluate", f"model={run}", "device=cpu", *more]


def told(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_the_hub_is_asked_once(tiny_run, asked, tmp_path, capsys):
    assert main(words(tiny_run, "benchmark=text", f"out={tmp_path / 'out'}")) == 2
    assert asked == ["allenai/reward-bench"]
    lines = told(capsys)
    for name, place in {"reward_bench": "reward-bench", "reward_bench_2": "reward-bench-2", "judgebench": "JudgeBench"}.items():
        (line,) = [line for line in lines if f"{name}: expected" in line]
        assert line.count(f"{name}:") == 1 and line.endswith(f"then give benchmark.members.{name}.path={place}")
        assert ("not tried" in line) == (name != "reward_bench")


def test_in_offline_mode_each_is_looked_for_in_the_cache(tiny_run, asked, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(words(tiny_run, "benchmark=text", f"out={tmp_path / 'out'}")) == 2
    assert len(asked) == 4


def test_files_at_hand_are_judged_on_all_the_same(tiny_run, asked, tmp_path, capsys):
    (tmp_path / "chat_filtered.json").write_text(json.dumps([{"id": 1} | SIX, {"id": 2} | SIX]))
    more = (f"benchmark.members.rm_bench.path={tmp_path / 'chat_filtered.json'}", "missing=skip", f"out={tmp_path / 'out'}")
    assert main(words(tiny_run, "benchmark=text", *more)) == 0
    printed = capsys.readouterr().out.splitlines()
    missing = [line for line in printed if line.startswith("missing: ")]
    assert [line.split()[1] for line in missing] == ["reward_bench:", "reward_bench_2:", "judgebench:"] and len(asked) == 1
    assert all(line.count(line.split()[1]) == 1 for line in missing)


def test_one_benchmark_alone_is_hinted_at_by_its_own_key(tiny_run, asked, tmp_path, capsys):
    assert main(words(tiny_run, "benchmark=judgebench", f"out={tmp_path / 'out'}")) == 2
    assert told(capsys)[-1].endswith("then give benchmark.path=JudgeBench")
    row = {"id": "mathverse_1", "query": "q", "response": ["a", "b"], "image": "p.png", "human_ranking": [0, 1]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    more = ("benchmark=multimodal", f"benchmark.members.vl_rewardbench.path={tmp_path / 'rows.jsonl'}")
    assert main(words(tiny_run, *more, f"out={tmp_path / 'out'}")) == 2
    (line,) = [line for line in told(capsys) if "vl_rewardbench: expected" in line]
    assert "benchmark.members.vl_rewardbench.image_root" in line


def test_a_member_without_a_repository_names_its_own_key():
    group = {"_target_": "basereward.benchmarks.group.Group", "members": {"multimodal_rewardbench": None}}
    ((_, made),) = members(group)
    with pytest.raises(DataError, match=r"benchmark.members.multimodal_rewardbench.path=<clone>"):
        made.comparisons()


def test_bad_rows_are_not_to_be_left_out_of_training_here(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "q", "chosen": "", "rejected": "No"}\n')
    with pytest.raises(BadRows) as error:
        CustomBenchmark(str(file)).comparisons()
    assert "data.on_error" not in str(error.value) and "or take them out of the file" in str(error.value)


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_json_file_is_called_empty(tmp_path, content):
    file = tmp_path / "rows.json"
    file.write_text(content)
    with pytest.raises(BadRows, match=r"rows.json:1: expected a JSON array of rows; found an empty file; write it again"):
        CustomBenchmark(str(file)).comparisons()
    assert [where for where, _ in Custom(file).rows()] == [f"{file}:1"]


def test_a_long_text_is_no_matter_of_the_tokenizer(tiny_folder, caplog):
    """Its warning compares with a limit of its own, whatever the model's, and names no row."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.model_max_length = 8
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    try:
        assert len(ChatFormat(tokenizer, None).response_ids("one word after another " * 9)) > 8
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records


@pytest.mark.parametrize(("name", "is_there"), [("mm_rlhf_rewardbench", False), ("vl_rewardbench", True)])
def test_brackets_are_explained_where_there_are_any(name, is_there):
    own = {"acc_plus": 0.5, "by_category": {}}
    categories = {key: {"accuracy": 0.5} for key in ("mcq", "long", "short", "safety", "video")}
    numbers = {"benchmark": name, "edition": "official", "placeholders": 0, "accuracy": 0.5, "macro": 0.5, "own": own,
               "categories": categories, "legacy": None}  # fmt: skip
    shown = beside_published(numbers)
    assert shown and ("(in brackets)" in shown) is is_there
