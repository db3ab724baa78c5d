"""Rows of JudgeBench: both labels, the sources of every category, a label and a source that nobody knows."""


def row(source, label="A>B"):
    return {
        "pair_id": f"{source}-{label}",
        "original_id": 6603,
        "source": source,
        "question": "Two and two?",
        "response_model": "claude-3-5-sonnet-20240620",
        "response_A": "Four.",
        "response_B": "Five.",
        "label": label,
    }


ROWS = [
    row("mmlu-pro-computer science"),
    row("livebench-reasoning", "B>A"),
    row("livebench-math"),
    row("livecodebench"),
    row("livebench-math", "A=B"),
    row("gpqa"),
    row("livecodebench") | {"response_B": "Four. "},
]
EXPECTED = {"used": 4, "dropped": {"chosen equals rejected": 1}, "problems": {"unknown label": 1, "unknown source": 1}}


def check(comparisons):
    """The order of the answers stays, the label ranks them."""
    assert [item.category for item in comparisons] == ["knowledge", "reasoning", "math", "coding"]
    assert [item.pairs[0].better for item in comparisons] == [0, 1, 0, 0] and comparisons[1].responses == ("Four.", "Five.")
