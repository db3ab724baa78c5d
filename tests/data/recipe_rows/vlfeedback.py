"""`MMInstruction/VLFeedback`: Parquet under data/; `completions` is a dict of lists, ratings are texts."""

from row_files import stored

ASPECTS = ("Helpfulness", "Ethical Considerations", "Visual Faithfulness")


def completions(answers):
    """Answer -> its ratings; a sequence of dicts, which `datasets` stores as a dict of lists."""
    ratings = [dict(zip(ASPECTS, given, strict=True)) for given in answers.values()]
    return {
        "annotations": [{name: {"Rating": text, "Rationale": "Because."} for name, text in each.items()} for each in ratings],
        "model": [f"model-{index}" for index in range(len(answers))],
        "response": list(answers),
    }


def row(name, answers):
    return {"id": name, "prompt": "What is it?", "models": ["a", "b"], "completions": completions(answers), "image": stored()}


WHOLE = {"A cat.": ("5", "5", "4"), "A dog.": ("2", "5", "1"), "A cat on a mat.": ("5", "5", "5"), "A bird.": ("1", "5", "N/A")}
ROWS = [
    row("svit-1", WHOLE),
    row("llava-2", {"Yes.": ("4", "5", "4"), "Yes. ": ("2", "5", "2"), "No.": ("1", "5", "1"), "Maybe.": ("3", "5", "")}),
    row("lrv-3", dict.fromkeys(("a", "b", "c", "d"), ("3", "5", "3"))),
    row("lrv-4", {"a": ("3", "5", "3"), "b": ("N/A", "5", "3"), "c": ("N/A", "N/A", "N/A"), "d": ("", "5", "3")}),
    row("lrv-5", {"a": ("3", "5", "3"), "b": ("4", "5", "3"), "": ("5", "5", "5"), "c": ("2", "5", "3")}),
    row("lrv-6", WHOLE) | {"prompt": None},
]
ROWS_FILE = "data/train-00000-of-00001.parquet"
PATH = "."
EXPECTED = {"used": 3, "dropped": {"all responses tied": 1, "fewer than two rated responses": 1, "empty prompt": 1}}


def check(comparisons):
    """Means of three ratings; an answer rated "N/A" is out; the same text twice is one."""
    first, second, third = comparisons
    assert first.responses == ("A cat.", "A dog.", "A cat on a mat.") and first.scores == (4.666667, 2.666667, 5.0)
    assert {(pair.better, pair.worse) for pair in first.pairs} == {(2, 0), (2, 1), (0, 1)}
    assert first.meta["models"] == ["model-0", "model-1", "model-2", "model-3"] and first.meta["mean_ratings"][3] is None
    # "Yes." has 13/3 and 9/3, so 11/3.
    assert second.responses == ("Yes.", "No.") and second.scores == (3.666667, 2.333333)
    assert third.responses == ("a", "b", "c") and third.id == "lrv-5"
