"""Preferences as `preference/train.jsonl.gz` of `nvidia/HelpSteer3` has them: a conversation and two answers."""

from recipe_texts import order, said

CONTEXT = [{"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"))]


def row(strength, **more):
    one = {"score": strength, "reasoning": "...", "feedback1": "...", "feedback2": "..."}
    return {
        "domain": "stem", "language": "english", "context": CONTEXT, "response1": "one", "response2": "two",
        "overall_preference": strength, "individual_preference": [one, one],
    } | more  # fmt: skip


ROWS = [row(-1), row(3), row(0), row(2, response1=""), row(2, context=CONTEXT[:2]), row(1, context="Hi")]
ROWS_FILE = "preference/train.jsonl"
FILES = {"feedback/train.jsonl": [{"context": CONTEXT, "feedback": ["..."]}]}
PATH = "."
EXPECTED = {
    "used": 2,
    "dropped": {"all responses tied": 1, "empty answer": 1, "the prompt does not end with a user turn": 1},
    "problems": {"wrong type": 1},
}


def check(comparisons):
    """Negative prefers the first answer; the other subsets of the repository are not read."""
    first, second = comparisons
    assert order(first) == [("one", "two")] and order(second) == [("two", "one")]
    assert said(first) == [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
    assert first.category == "stem" and first.meta == {"language": "english"}
