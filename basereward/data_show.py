"""What comparisons look like, as one HTML page.    basereward data show path=my_pairs.jsonl out=page.html

A sample of every source with its labels, and how lengths, sizes and margins are distributed. The page needs no network and no script.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from basereward.data_check import recipe_at
from basereward.encode import Encoder
from basereward.errors import ConfigError
from basereward.places import check_file
from basereward.problems import counted
from basereward.recipes import Recipe
from basereward.report.document import kind_of, write_document
from basereward.shares import read_share
from basereward.show.sections import sections
from basereward.show.source import Source, look
from basereward.sources import check_sources, source_recipes

KIND = "basereward data show"
BEFORE_CLEANING = "data.clean is not applied: these are the rows that cleaning gets to see."
SUFFIXES = (".html", ".htm")


@dataclass
class SampleSettings:
    """What is drawn at random, named as in training: the data configs refer to ``run.seed``."""

    seed: int = 0
    """Of the sample, and of sources that draw their rows."""


@dataclass
class DataShowSettings:
    """Everything ``basereward data show`` reads."""

    out: str = ""
    """The page, ending in .html; an earlier page of this command is replaced, any other file is not."""
    data: dict[str, Any] | None = None
    """As in training: `sources` by name, or `path`; and `val`, shown as a source of its own."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """With ``path``: config node of the recipe that reads it."""
    path: str | None = None
    """Instead of ``data``: a file, a pattern, a folder, or the id of a Hub dataset."""
    image_root: str | None = None
    """With ``path``: folder that relative image paths start from; the file's own when null."""
    model: str | None = None
    """A checkpoint folder or Hub id whose tokenizer counts the lengths; characters when null."""
    n: int = 8
    """Comparisons shown of each source."""
    scan: int | None = 100_000
    """Rows read of each source, from its beginning; null reads all. The page says which."""
    run: SampleSettings = field(default_factory=SampleSettings)


SETTINGS = DataShowSettings


def plan(settings: DataShowSettings) -> str:
    """What would be read and written."""
    check(settings)
    named = (f"{name} ({', '.join(map(str, recipe.files())) or 'no files'})" for name, recipe in recipes(settings).items())
    read = "all rows" if settings.scan is None else f"at most {counted(settings.scan, 'row')}"
    return f"plan: read {read} of {'; '.join(named)}; show {settings.n} of each; write {settings.out}"


def run(settings: DataShowSettings) -> int:
    """Reads every source once and writes the page."""
    check(settings)
    found = recipes(settings)
    encoder = Encoder.from_folder(settings.model) if settings.model is not None else None
    sources = [
        look(recipe, name, size=settings.n, seed=settings.run.seed, limit=settings.scan, encoder=encoder)
        for name, recipe in found.items()
    ]
    for source in sources:
        source.amount = amounts(settings).get(source.name, "")
    write(sources, settings)
    shown, there = sum(len(source.sample) for source in sources), sum(s.statistics.totals["comparisons"] for s in sources)
    dropped = sum(source.rows.dropped.total() for source in sources)
    print(
        f"{settings.out}: {shown:,} of {counted(there, 'comparison')}, {counted(len(sources), 'source')}; {dropped:,} rows left out"
    )
    return 0


def write(sources: list[Source], settings: DataShowSettings) -> None:
    """Writes the page whole."""
    out = Path(settings.out)
    title = ", ".join(source.name for source in sources)
    unit = "characters" if settings.model is None else "tokens"
    remarks = [BEFORE_CLEANING] if (settings.data or {}).get("clean") else []
    body = sections(sources, kind=KIND, title=title, unit=unit, seed=settings.run.seed, remarks=remarks)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_document(out, KIND, title, body)


def recipes(settings: DataShowSettings) -> dict[str, Recipe]:
    """Name -> recipe of everything that is shown."""
    if settings.data is not None:
        return source_recipes(settings.data)
    recipe = recipe_at(settings.recipe, settings.path, settings.image_root)
    return {os.path.basename(recipe.path.rstrip("/")) or recipe.path: recipe}


def amounts(settings: DataShowSettings) -> dict[str, str]:
    """Source -> what the config says that an epoch takes of it."""
    data = settings.data or {}
    found = {}
    for name, node in (data.get("sources") or {}).items():
        share = read_share(node, f"data.sources.{name}")
        given = [f"{key} {value:,g}" for key, value in asdict(share).items() if value is not None]
        if share.is_open:
            temperature = data.get("temperature")
            given.append("all of it once" if temperature is None else f"temperature {temperature:g}")
        found[name] = ", ".join(given)
    return found


def check(settings: DataShowSettings) -> None:
    """Refuses what cannot be done before anything is read.

    Raises:
        ConfigError: with the key.
    """
    if settings.data is not None and (settings.path is not None or settings.image_root is not None):
        key = "path" if settings.path is not None else "image_root"
        raise ConfigError(f"{key}: expected data=<name> or path=<file>, found both; remove one, or set the path inside data")
    for key, value in (("n", settings.n), ("scan", settings.scan)):
        if value is not None and value < 1:
            raise ConfigError(f"{key}: expected a whole number from 1, found {value}; correct it")
    check_out(Path(settings.out))
    if settings.data is not None:
        check_sources(settings.data)


def check_out(out: Path) -> None:
    """Refuses a place where no page can be written, or where something else stands.

    Raises:
        ConfigError: with the key.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"out: expected a file ending in {' or '.join(SUFFIXES)}, found {out}; add out=page.html")
    check_file("out", out)
    if out.exists() and kind_of(out) != KIND:
        raise ConfigError(
            f"out: expected a new file or an earlier page of this command, found {out}, which is something else; choose another name"
        )
