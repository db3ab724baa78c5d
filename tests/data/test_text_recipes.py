"""The text sets: rows in the nested shape of each real set, with its quirks, become the comparisons and counts worked out by hand."""

from __future__ import annotations

import json

import pytest
from basereward.data_recipes.helpsteer2 import HelpSteer2
from basereward.data_recipes.helpsteer2_preference import HelpSteer2Preference
from basereward.data_recipes.helpsteer3 import HelpSteer3
from basereward.data_recipes.magpie_ultra import MagpieUltra
from basereward.data_recipes.olmo_2 import OLMo2
from basereward.data_recipes.shp import SHP
from basereward.data_recipes.skywork_80k import Skywork80K
from basereward.data_recipes.swe_arena import SWEArena
from basereward.data_recipes.tulu_3 import Tulu3
from basereward.data_recipes.ultrafeedback import UltraFeedback
from basereward.data_recipes.ultrafeedback_binarized import UltraFeedbackBinarized
from basereward.data_recipes.unified_feedback import UnifiedFeedback
from basereward.data_recipes.wildchat_ultrafeedback import WildChatUltraFeedback

from basereward.errors import ConfigError
from basereward.problems import BadRows
from basereward.recipes import read

WEIGHTS = {"helpfulness": 0.65, "correctness": 0.8, "coherence": 0.45, "complexity": 0.55, "verbosity": -0.4}


def read_rows(folder, recipe, rows, **options):
    """(comparisons, reason -> count, notes) of rows written as JSON lines."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read(recipe(path, **options))
    assert data.manifest["rows_read"] == data.manifest["used"] + sum(data.manifest["dropped"].values())
    return data.comparisons, data.manifest["dropped"], data.manifest["notes"]


def said(item):
    """(role, text) of each turn of a prompt."""
    return [(turn["role"], "".join(part["text"] for part in turn["content"])) for turn in item.messages]


def order(item):
    """(better text, worse text) of each pair."""
    return [(item.responses[pair.better], item.responses[pair.worse]) for pair in item.pairs]


def talk(*texts):
    """user, assistant, user, ... messages, content first as these sets store them."""
    return [{"content": text, "role": ("user", "assistant")[index % 2]} for index, text in enumerate(texts)]


def tulu(chosen, rejected, **more):
    return {"id": "if_1", "prompt": chosen[-2]["content"], "chosen": chosen, "rejected": rejected} | more


def test_tulu_3_takes_the_shared_turns_as_the_prompt(tmp_path):
    system = [{"content": "Be brief.", "role": "system"}]
    rows = [
        tulu(talk("Name a colour.", "Red."), talk("Name a colour.", "Blue!"), source="allenai/tulu-3-if"),
        # `prompt` is the last user text only; the conversation has a system turn and an earlier answer.
        tulu(system + talk("Hi", "Hello", "Bye", "Bye."), system + talk("Hi", "Hello", "Bye", "So long."), id="if_2"),
        tulu(talk("Q", "same "), talk("Q", "same")),
        tulu(talk("Q", "a"), talk("Q", "")),
        tulu(talk("Q", "a"), talk("Q?", "b")),
        tulu(talk("Write an <image> tag", "a"), talk("Write an <image> tag", "b")),
        tulu(talk("Q", "a", "more"), talk("Q", "b", "more")),
        tulu(talk(" ", "a"), talk(" ", "b")),
    ]
    (first, second), dropped, _ = read_rows(tmp_path, Tulu3, rows)
    assert (first.id, first.category, order(first)) == ("if_1", "allenai/tulu-3-if", [("Red.", "Blue!")])
    assert said(second) == [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
    assert order(second) == [("Bye.", "So long.")]
    assert dropped == {
        "a conversation without an answer at its end": 1,
        "chosen equals rejected": 1,
        "empty answer": 1,
        "empty prompt": 1,
        "the prompt holds the text <image>": 1,
        "the prompts of chosen and rejected differ": 1,
    }


def test_rows_in_another_shape_are_problems_not_drops(tmp_path):
    with pytest.raises(BadRows, match="`chosen` to be a list of messages"):
        read_rows(tmp_path, Tulu3, [tulu(talk("Q", "a"), talk("Q", "b")), {"prompt": "Q", "chosen": "a", "rejected": "b"}])


def test_both_revisions_of_olmo_2(tmp_path):
    conversations = {"chosen": talk("Q", "good"), "rejected": talk("Q", "bad")}
    models = {"chosen_model": "qwen", "rejected_model": "olmo"}
    rows = [
        conversations | models | {"id": "first", "source": "ai2-adapt-dev/sft_v3.9_used_on_policy"},
        conversations | models | {"id": "main", "source": "s", "prompt": "Q", "chosen_rating": 5.0, "rejected_rating": 2.25},
        conversations | models | {"id": "unrated", "source": "s", "prompt": "Q", "chosen_rating": None, "rejected_rating": None},
        conversations | models | {"id": "tied", "source": "s", "prompt": "Q", "chosen_rating": 4.0, "rejected_rating": 4.0},
    ]
    found, dropped, _ = read_rows(tmp_path, OLMo2, rows)
    assert [item.id for item in found] == ["first", "main", "unrated"] and dropped == {"all responses tied": 1}
    assert all(order(item) == [("good", "bad")] for item in found)
    assert found[0].meta == models and found[1].meta == models | {"chosen_rating": 5.0, "rejected_rating": 2.25}
    kept, dropped, _ = read_rows(tmp_path, OLMo2, rows, keep_ties=True)
    assert dropped == {} and kept[3].pairs == () and kept[3].ties == ((0, 1),)


def test_skywork_rows_have_no_id(tmp_path):
    rows = [{"chosen": talk("Q", "a"), "rejected": talk("Q", "b"), "source": "offsetbias"}]
    (item,), dropped, _ = read_rows(tmp_path, Skywork80K, rows)
    assert (item.id, item.category, dropped) == ("rows.jsonl:1", "offsetbias", {})


def test_wildchat_rows(tmp_path):
    rows = [{"id": "w1", "prompt": "Q", "chosen": talk("Q", "a"), "rejected": talk("Q", "b")}]
    (item,), dropped, _ = read_rows(tmp_path, WildChatUltraFeedback, rows)
    assert (item.id, order(item), dropped) == ("w1", [("a", "b")], {})


def test_ultrafeedback_binarized_drops_equal_scores(tmp_path):
    def row(name, chosen, rejected):
        conversation = talk("Q", "a")
        return {
            "prompt": "Q", "prompt_id": name, "chosen": conversation, "rejected": talk("Q", "b"), "messages": conversation,
            "score_chosen": chosen, "score_rejected": rejected,
        }  # fmt: skip

    (item,), dropped, _ = read_rows(tmp_path, UltraFeedbackBinarized, [row("x", 8.5, 7.0), row("y", 6.0, 6.0)])
    assert (item.id, order(item), dropped) == ("x", [("a", "b")], {"all responses tied": 1})


def completion(text, overall, *ratings, model="gpt-4"):
    """A completion of UltraFeedback; four ratings as texts, and the parts that are not read."""
    names = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    ratings = ratings or ("4", "4", "4", "4")
    annotations = {name: {"Rating": rating, "Rationale": "..."} for name, rating in zip(names, ratings, strict=True)}
    annotations["helpfulness"] |= {"Type": ["1", "2"], "Rationale For Rating": "..."}
    return {
        "model": model, "principle": "helpfulness", "custom_system_prompt": "Be helpful.", "response": text, "critique": "...",
        "annotations": annotations, "overall_score": overall, "fine-grained_score": 4.0,
    }  # fmt: skip


def ultra(*completions, instruction="Q"):
    return {
        "source": "sharegpt", "instruction": instruction, "models": ["alpaca-7b", "gpt-4", "starchat", "wizardlm-7b"],
        "completions": list(completions), "correct_answers": ["None"], "incorrect_answers": ["None"],
    }  # fmt: skip


def test_ultra_all_is_one_comparison_of_up_to_four(tmp_path):
    rows = [
        ultra(completion("a", 7.5), completion("b", 6.5), completion("c", 7.5), completion("d", 2.0)),
        # 10 with a mean rating of 1.5 is the 1 that an early release wrote as 10; 10 with high ratings is a 10.
        ultra(completion("a", 10.0, "1", "2", "2", "1"), completion("b", 5.0), completion("c", 10.0, "5", "5", "5", "4")),
        # An empty text, a missing score, and a text given twice (4 and 8, so 6).
        ultra(completion("", 9.0), completion("b", None), completion("c ", 4.0), completion("c", 8.0), completion("d", 7.0)),
        ultra(completion("a", 5.0), completion("b", 5.0)),
        ultra(completion("a", 5.0)),
        ultra(completion("a", 1.0), completion("b", 5.0), instruction="<image>"),
    ]
    (four, repaired, merged), dropped, notes = read_rows(tmp_path, UltraFeedback, rows)
    assert four.responses == ("a", "b", "c", "d") and four.scores == (7.5, 6.5, 7.5, 2.0) and four.category == "sharegpt"
    assert order(four) == [("a", "b"), ("a", "d"), ("b", "d"), ("c", "b"), ("c", "d")] and four.ties == ((0, 2),)
    assert repaired.scores == (1.0, 5.0, 10.0) and merged.responses == ("c ", "d") and merged.scores == (6.0, 7.0)
    expected = {"all responses tied": 1, "fewer than two rated responses": 1, "the prompt holds the text <image>": 1}
    assert dropped == expected and notes == ["1 overall_score of 10 with low ratings read as 1"]


def test_ultra_hard_is_the_pair_with_the_largest_gap(tmp_path):
    rows = [
        ultra(completion("a", 3.0), completion("b", 8.0), completion("c", 1.0), completion("d", 7.0)),
        ultra(completion("best", 9.0), completion("also best", 9.0), completion("worst", 2.0)),
        ultra(completion("also best", 9.0), completion("worst", 2.0), completion("best", 9.0)),
        ultra(completion("a", 5.0), completion("b", 5.0), completion("c", 5.0)),
    ]
    found, dropped, _ = read_rows(tmp_path, UltraFeedback, rows, pairs="widest", keep_ties=True)
    assert order(found[0]) == [("b", "c")] and found[0].scores == (8.0, 1.0) and found[0].num_responses == 2
    # Of two that are equally good, the text decides and not the place in the row.
    assert order(found[1]) == order(found[2]) and dropped == {"all responses tied": 1}


def test_ultrafeedback_by_its_aspects(tmp_path):
    rows = [
        ultra(
            completion("a", 1.0, "5", "N/A", "4", "3"),  # (5 + 4 + 3) / 3 = 4
            completion("b", 9.0, "4", "4", "4", "3"),  # 15 / 4 = 3.75
            completion("c", 9.0, "N/A", "N/A", "N/A", "N/A"),
        )
    ]
    (item,), _, _ = read_rows(tmp_path, UltraFeedback, rows, score="aspects")
    assert item.scores == (4.0, 3.75) and order(item) == [("a", "b")]
    with pytest.raises(ConfigError, match="did you mean 'overall'"):
        UltraFeedback(tmp_path, score="overal")
    with pytest.raises(ConfigError, match="all or widest"):
        UltraFeedback(tmp_path, pairs="hardest")


def test_a_completion_without_annotations_has_its_overall_score(tmp_path):
    rows = [ultra(completion("a", 10.0) | {"annotations": None}, completion("b", 3.0) | {"annotations": {"honesty": None}})]
    (item,), _, notes = read_rows(tmp_path, UltraFeedback, rows)
    assert item.scores == (10.0, 3.0) and notes == []


def steer(prompt, response, *values):
    return {"prompt": prompt, "response": response} | dict(zip(WEIGHTS, values, strict=True))


def test_helpsteer2_joins_consecutive_rows_of_a_prompt(tmp_path):
    turns = "Hi\n<extra_id_1>Assistant\nHello!\n<extra_id_1>User\nAnd now?"
    rows = [
        steer("c#", "A language.", 3, 4, 4, 2, 1),  # 1.95 + 3.2 + 1.8 + 1.1 - 0.4 = 7.65
        steer("c#", "No.", 1, 2, 4, 0, 0),  # 0.65 + 1.6 + 1.8 = 4.05
        steer(turns, "First.", 0, 0, 0, 0, 0),
        steer(turns, "Second.", 4, 4, 4, 4, 4),  # 4 * 2.05 = 8.2
        steer("alone", "a", 4, 4, 4, 4, 4),
        steer("tie", "a", 2, 2, 2, 2, 2),
        steer("tie", "b", 2, 2, 2, 2, 2),
    ]
    (first, second), dropped, _ = read_rows(tmp_path, HelpSteer2, rows, weights=WEIGHTS)
    assert first.scores == (7.65, 4.05) and first.responses == ("A language.", "No.")
    assert said(second) == [("user", "Hi"), ("assistant", "Hello!"), ("user", "And now?")]
    assert order(second) == [("Second.", "First.")] and second.scores == (0.0, 8.2)
    assert dropped == {"all responses tied": 1, "fewer than two rated responses": 1}
    (helpful, *_), _, _ = read_rows(tmp_path, HelpSteer2, rows, weights={"helpfulness": 1})
    assert helpful.scores == (3.0, 1.0)


def test_helpsteer2_refuses_what_cannot_be_weighed(tmp_path):
    with pytest.raises(BadRows, match="`verbosity` from 0 to 4; found None"):
        read_rows(tmp_path, HelpSteer2, [steer("q", "a", 1, 1, 1, 1, None)] * 2, weights=WEIGHTS)
    with pytest.raises(ConfigError, match="did you mean 'helpfulness'"):
        HelpSteer2(tmp_path, weights={"helpfullness": 1})
    with pytest.raises(ConfigError, match="at least one that is not 0"):
        HelpSteer2(tmp_path, weights={"helpfulness": 0})
    (tmp_path / "broken.jsonl").write_text(json.dumps(steer("q", "a", 1, 1, 1, 1, 1)) + "\n{broken\n{broken\n")
    with pytest.raises(BadRows) as caught:
        read(HelpSteer2(tmp_path / "broken.jsonl", weights=WEIGHTS))
    assert [problem.kind for problem in caught.value.problems] == ["not JSON", "not JSON"]


def preference(strength, part="train", **more):
    return {
        "split": part, "prompt": "Q", "response_1": "one", "response_2": "two", "preference_strength": strength,
        "preference_statement": "...", "preference_elaboration": "...",
    } | more  # fmt: skip


def test_helpsteer2_preference_signs(tmp_path):
    rows = [
        preference(-3),
        preference(2),
        preference(0),
        preference(-100),
        preference(1, response_2="one "),
        preference(1, "val"),
    ]
    found, dropped, _ = read_rows(tmp_path, HelpSteer2Preference, rows)
    assert [order(item) for item in found] == [[("one", "two")], [("two", "one")]]
    expected = {"all responses tied": 1, "no preference from -3 to 3": 1, "chosen equals rejected": 1, "of another part": 1}
    assert dropped == expected and all(pair.margin == 0 for item in found for pair in item.pairs)
    with_margins, dropped, _ = read_rows(tmp_path, HelpSteer2Preference, rows, margin_per_step=0.5, part=None, keep_ties=True)
    assert [[pair.margin for pair in item.pairs] for item in with_margins] == [[1.5], [1.0], [], [0.5]]
    assert "of another part" not in dropped and with_margins[2].ties == ((0, 1),)
    with pytest.raises(ConfigError, match="train, val or null"):
        HelpSteer2Preference(tmp_path, part="validation")


def test_helpsteer3_signs(tmp_path):
    context = [{"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"))]

    def row(strength, **more):
        one = {"score": strength, "reasoning": "...", "feedback1": "...", "feedback2": "..."}
        return {
            "domain": "stem", "language": "english", "context": context, "response1": "one", "response2": "two",
            "overall_preference": strength, "individual_preference": [one, one],
        } | more  # fmt: skip

    rows = [row(-1), row(3), row(0), row(2, response1=""), row(2, context=context[:2])]
    (first, second), dropped, _ = read_rows(tmp_path, HelpSteer3, rows)
    assert order(first) == [("one", "two")] and order(second) == [("two", "one")]
    assert said(first) == [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
    assert first.category == "stem" and first.meta == {"language": "english"}
    assert dropped == {"all responses tied": 1, "empty answer": 1, "the prompt does not end with a user turn": 1}
    with pytest.raises(BadRows, match="the prompt to be a list of messages"):
        read_rows(tmp_path, HelpSteer3, [row(1), row(1, context="Hi")])


def post(label, **more):
    return {
        "post_id": "qt3nxl", "domain": "askculinary_train", "upvote_ratio": 0.98, "history": "Raspberries?",
        "c_root_id_A": "hkh25sc", "c_root_id_B": "hkh25lp", "created_at_utc_A": 1636822112, "created_at_utc_B": 1636822110,
        "score_A": 340, "score_B": 166, "human_ref_A": "Pectinex.", "human_ref_B": "Juice.", "labels": label,
        "seconds_difference": 2.0, "score_ratio": 2.0481927711,
    } | more  # fmt: skip


def test_shp_label_one_prefers_a(tmp_path):
    rows = [post(1), post(0), post(1, human_ref_B="[removed]"), post(1, score_ratio=1.2)]
    (first, second, weak), dropped, _ = read_rows(tmp_path, SHP, rows)
    assert order(first) == [("Pectinex.", "Juice.")] and order(second) == [("Juice.", "Pectinex.")]
    assert (first.id, first.category) == ("qt3nxl-hkh25sc-hkh25lp", "askculinary")
    assert dropped == {"a comment was removed": 1} and weak.meta["score_ratio"] == 1.2
    _, dropped, _ = read_rows(tmp_path, SHP, rows, min_score_ratio=2)
    assert dropped == {"a comment was removed": 1, "score ratio below the least": 1}
    with pytest.raises(BadRows, match=r"`labels` to be 1 \(A is preferred\)"):
        read_rows(tmp_path, SHP, [post(2)])


def test_magpie_scores_decide_row_by_row(tmp_path):
    def row(score, base, **more):
        texts = {"instruction": "Q", "response": "instruct", "response_base": "base", "intent": "...", "primary_tag": "Math"}
        return texts | {"score": score, "score_base": base} | more

    rows = [row(0.2, 0.1), row(0.1, 0.2), row(0.2, None), row(0.1, 0.1), row(1, 2, response_base=None, primary_tag=None)]
    (usual, other), dropped, _ = read_rows(tmp_path, MagpieUltra, rows)
    assert order(usual) == [("instruct", "base")] and order(other) == [("base", "instruct")] and usual.category == "Math"
    assert dropped == {"fewer than two rated responses": 2, "all responses tied": 1}


def test_unified_feedback_prefers_the_higher_rating(tmp_path):
    def row(first, second, source="hh-rlhf"):
        conversations = {"conv_A": talk("Q", "a"), "conv_B": talk("Q", "b")}
        ratings = {"conv_A_rating": first, "conv_B_rating": second}
        return {"id": "u1", "num_turns": 1, "source": source} | conversations | ratings

    rows = [row(1.0, 0.0), row(0.0, 1.0, "openai/summarize_from_feedback"), row(0.5, 0.5), row(None, 1.0)]
    options = {"summary_instruction": "Summarize this post."}
    (first, summary), dropped, _ = read_rows(tmp_path, UnifiedFeedback, rows, **options)
    assert order(first) == [("a", "b")] and said(first) == [("user", "Q")] and first.category == "hh-rlhf"
    assert order(summary) == [("b", "a")] and said(summary) == [("user", "Summarize this post.\n\nQ")]
    assert dropped == {"all responses tied": 1, "a rating is no number": 1}


def vote(kind, first, second):
    def state(turns):
        return {"chat_mode": "battle_anony", "model_name": "m", "roles": ["Human", "Assistant"], "messages": turns}

    return {
        "type": "vote", "feedback": {"vote_type": kind, "correctness": None, "efficiency": None},
        "models": {"model_A": "m1", "model_B": "m2"}, "chat_session_id": "s1", "instruction": "Draw a ball.",
        "states": {"model_A": state(first), "model_B": state(second)},
    }  # fmt: skip


def test_swe_arena_votes(tmp_path):
    ask = ["Human", "Draw a ball."]
    a, b = [ask, ["Assistant", "print(1)"]], [ask, ["Assistant", "print(2)"]]
    more = [["Human", "Faster."], ["Assistant", "print(3)"]]
    rows = [
        vote("vote_model_A", a, b),
        vote("vote_model_B", a, [*b, ["Human", ""]]),
        vote("vote_tie", a, b),
        vote("vote_both_bad", a, b),
        vote("vote_model_A", a + more, b + more),
        vote("vote_model_A", a, [ask, ["Assistant", None]]),
    ]
    (first, second), dropped, _ = read_rows(tmp_path, SWEArena, rows)
    assert order(first) == [("print(1)", "print(2)")] and order(second) == [("print(2)", "print(1)")]
    assert said(first) == [("user", "Draw a ball.")] and first.id == "s1"
    several = "several turns, answered by each model in its own way"
    assert dropped == {"all responses tied": 2, several: 1, "a conversation without an answer at its end": 1}
    with pytest.raises(BadRows, match=r"`feedback.vote_type` among vote_model_A.*; found 'left'"):
        read_rows(tmp_path, SWEArena, [vote("left", a, b)])
