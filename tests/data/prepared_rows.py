"""Rows of every kind in a file, with pictures beside it, and the command that prepares them."""

from __future__ import annotations

import io
import json

from PIL import Image

from basereward import data_prepare
from basereward.sources import make_sources
from basereward.store.identity import folder_of

CUSTOM = "basereward.data_recipes.custom.Custom"


def picture(colour, size=(60, 40)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def rows(folder, count=60):
    """Rows of every kind; every third has a picture, of which several share one."""
    (folder / "p").mkdir(parents=True, exist_ok=True)
    for k in range(5):
        Image.new("RGB", (56 + 28 * k, 84), (40 * k, 0, 90)).save(folder / "p" / f"{k}.png")
    texts = ["Why?", "Größe ≥ 3?", "A\nlonger question with\u2028a line", "<|im_end|> in a text"]
    made = []
    for i in range(count):
        row = {
            "prompt": f"{texts[i % 4]} {i // 2}",
            "id": f"r{i % 50}",
            "category": "abc"[i % 3],
            "meta": {"n": i, "t": [1, {"x": None}]},
        }
        if i % 3 == 0:
            row["images"] = [f"p/{i % 5}.png"]
        if i % 5 == 4:
            row |= {"responses": ["one", "two", f"three {i}"], "scores": [3.5, 1.25, 3.5]}
        elif i % 5 == 3:
            row |= {"responses": [f"a {i}", "b", "c", "d"], "ranks": [0, 2, 1, 2], "weight": 0.3}
        else:
            row |= {"chosen": f"good {i} " * (i % 7 + 1), "rejected": "bad", "margin": 0.1, "probability": 0.75}
        made.append(row)
    return made


def write(path, made):
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return str(path)


def config(tmp_path, count=60, **more):
    return {"sources": {"mine": {"_target_": CUSTOM, "path": write(tmp_path / "mine.jsonl", rows(tmp_path, count))}}} | more


def prepare(cfg, **settings):
    return data_prepare.run(data_prepare.DataPrepareSettings(data=cfg, **settings))


def folder_for(cfg):
    """Where the one source of a config is prepared."""
    (source,) = make_sources(cfg)
    return folder_of(source.facts(), source.root)


def files(folder):
    """Name -> bytes of all files below a folder but locks."""
    return {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != ".lock"}
