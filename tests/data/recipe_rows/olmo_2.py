"""Conversations as `allenai/olmo-2-1124-7b-preference-mix` has them in both of its layouts, with and without ratings."""

from recipe_texts import order, talk

BOTH = {"chosen": talk("Q", "good"), "rejected": talk("Q", "bad"), "chosen_model": "qwen", "rejected_model": "olmo"}
ROWS = [
    BOTH | {"id": "first", "source": "ai2-adapt-dev/sft_v3.9_used_on_policy"},
    BOTH | {"id": "main", "source": "s", "prompt": "Q", "chosen_rating": 5.0, "rejected_rating": 2.25},
    BOTH | {"id": "unrated", "source": "s", "prompt": "Q", "chosen_rating": None, "rejected_rating": None},
    BOTH | {"id": "tied", "source": "s", "prompt": "Q", "chosen_rating": 4.0, "rejected_rating": 4.0},
]
EXPECTED = {"used": 3, "dropped": {"all responses tied": 1}}


def check(comparisons):
    """Both layouts give the same pair; ratings and models are kept."""
    assert [item.id for item in comparisons] == ["first", "main", "unrated"]
    assert all(order(item) == [("good", "bad")] for item in comparisons)
    models = {"chosen_model": "qwen", "rejected_model": "olmo"}
    assert comparisons[0].meta == models and comparisons[0].category == "ai2-adapt-dev/sft_v3.9_used_on_policy"
    assert comparisons[1].meta == models | {"chosen_rating": 5.0, "rejected_rating": 2.25}
