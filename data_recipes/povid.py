"""POVID: a LLaVA conversation and the same one with hallucinations injected into its answers -> a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.data_recipes.pictures_apart import PicturesApart

from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import pair_fault
from basereward.turns import MARKER, plain_turn

# COCO's name for the folder, and of the folder within the archive.
FOLDER = "train2014"


class POVID(PicturesApart):
    """`conversations` is preferred over `rejected_conversations`; both are cut after the first answer in which they differ.

    What follows that answer was written for the other history, and a comparison has one. The pictures are COCO's and not part of
    the set: `image_root` is the folder that holds `train2014.zip`, or the folder `train2014` that it unpacks to.
    """

    pictures_elsewhere: ClassVar[str] = (
        "fetch images.cocodataset.org/zips/train2014.zip, and give the folder that it is in as image_root"
    )
    columns: ClassVar[Mapping[str, str]] = {
        "image": "text",
        "conversations": "list of {from, value}",
        "rejected_conversations": "list of {from, value}",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair of the first answers that differ."""
        better, worse = row["conversations"], row["rejected_conversations"]
        cut = _first_difference(better, worse)
        if cut is None:
            return Dropped("the conversations are the same")
        if plain_turn(better[cut])[0] != "assistant" or plain_turn(worse[cut])[0] != "assistant":
            return Dropped("the questions differ")
        answers = [plain_turn(talk[cut])[1] for talk in (better, worse)]
        if fault := pair_fault(*answers):
            return Dropped(fault)
        record = {"messages": better[:cut], "chosen": answers[0], "rejected": answers[1], "images": [f"{FOLDER}/{row['image']}"]}
        return self.parse(record | ({"id": str(row["id"])} if row.get("id") is not None else {}), where)


def _first_difference(better: list, worse: list) -> int | None:
    """Index of the first turn that differs, markers and white space aside; None when one conversation begins the other."""
    pairs = enumerate(zip(better, worse, strict=False))
    return next((index for index, (one, other) in pairs if _bare(one) != _bare(other)), None)


def _bare(turn: object) -> tuple[str, str]:
    role, text = plain_turn(turn)
    return role, text.replace(MARKER, "").strip()
