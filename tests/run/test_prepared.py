"""Training from prepared sources is the same training: the same order, losses and weights, whoever reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_settings import TIMED
from safetensors.torch import load_file

from basereward import data_prepare, train
from basereward.batches import EncodedDataset
from basereward.comparisons import Listed
from basereward.compose import compose
from basereward.store.stored import Stored

MIXED = ("+data.sources.demo.cap=64", "+data.sources.demo.epochs=1.5", "run.max_steps=9", "run.eval_every=3", "run.log_every=1")


def facts(run_dir: Path):
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    timeless = [{key: value for key, value in row.items() if not key.endswith(TIMED)} for row in rows]
    return timeless, json.loads((run_dir / "data_manifest.json").read_text()), load_file(run_dir / "final" / "model.safetensors")


@pytest.mark.parametrize("workers", [0, 2])
def test_prepared_and_direct_train_alike(small, tmp_path, monkeypatch, workers):
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))
    direct, prepared = (small(name, f"batch.workers={workers}", *MIXED) for name in ("direct", "prepared"))
    kinds = []
    build = EncodedDataset.__init__

    def noted(self, comparisons, *args, **kwargs):
        kinds.append(type(comparisons.views[0].part))
        build(self, comparisons, *args, **kwargs)

    monkeypatch.setattr(EncodedDataset, "__init__", noted)
    train.run(direct)
    words = ["data=demo", "data.sources.demo.n=96", "data.val.n=24"]
    assert data_prepare.run(compose("data_prepare", words, data_prepare.SETTINGS)) == 0
    train.run(prepared)
    assert kinds == [Listed, Stored]
    (mine, manifest, weights), (theirs, theirs_manifest, their_weights) = (facts(Path(s.run.dir)) for s in (prepared, direct))
    assert mine == theirs and manifest == theirs_manifest
    assert manifest["mixture"]["sources"]["demo"]["comparisons"] == 96
    assert all((weights[name] == their_weights[name]).all() for name in their_weights)
