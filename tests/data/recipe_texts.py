"""Rows of the text sets in their real nested shapes, for the files of `recipe_rows` and for tests of options."""

from __future__ import annotations

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")


def talk(*texts):
    """user, assistant, user, ... messages, content first as these sets store them."""
    return [{"content": text, "role": ("user", "assistant")[index % 2]} for index, text in enumerate(texts)]


def pair(chosen, rejected, **more):
    """A row of two conversations that repeats the last text of the user in `prompt`."""
    return {"prompt": chosen[-2]["content"], "chosen": chosen, "rejected": rejected} | more


def said(item):
    """(role, text) of each turn of a comparison's prompt."""
    return [(turn["role"], "".join(part["text"] for part in turn["content"])) for turn in item.messages]


def order(item):
    """(better text, worse text) of each pair of a comparison."""
    return [(item.responses[pair.better], item.responses[pair.worse]) for pair in item.pairs]


def completion(text, overall, *ratings):
    """A completion of UltraFeedback: four ratings as texts, and the parts that are not read."""
    names = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    ratings = ratings or ("4", "4", "4", "4")
    annotations = {name: {"Rating": rating, "Rationale": "..."} for name, rating in zip(names, ratings, strict=True)}
    annotations["helpfulness"] |= {"Type": ["1", "2"], "Rationale For Rating": "..."}
    return {
        "model": "gpt-4", "principle": "helpfulness", "custom_system_prompt": "Be helpful.", "response": text,
        "annotations": annotations, "critique": "...", "overall_score": overall, "fine-grained_score": 4.0,
    }  # fmt: skip


def ultra(*completions, instruction="Q"):
    """A row of UltraFeedback."""
    return {
        "source": "sharegpt", "instruction": instruction, "models": ["alpaca-7b", "gpt-4", "starchat", "wizardlm-7b"],
        "completions": list(completions), "correct_answers": ["None"], "incorrect_answers": ["None"],
    }  # fmt: skip


def steer(prompt, response, *values):
    """A row of HelpSteer2's ratings."""
    return {"prompt": prompt, "response": response} | dict(zip(ATTRIBUTES, values, strict=True))


def preference(strength, part="train", **more):
    """A row of HelpSteer2's preferences."""
    return {
        "split": part, "prompt": "Q", "response_1": "one", "response_2": "two", "preference_strength": strength,
        "preference_statement": "...", "preference_elaboration": "...",
    } | more  # fmt: skip


def post(label, **more):
    """A row of SHP; the example of its card, shortened."""
    return {
        "post_id": "qt3nxl", "domain": "askculinary_train", "upvote_ratio": 0.98, "history": "Raspberries?",
        "c_root_id_A": "hkh25sc", "c_root_id_B": "hkh25lp", "created_at_utc_A": 1636822112, "created_at_utc_B": 1636822110,
        "score_A": 340, "score_B": 166, "human_ref_A": "Pectinex.", "human_ref_B": "Juice.", "labels": label,
        "seconds_difference": 2.0, "score_ratio": 2.0481927711,
    } | more  # fmt: skip


def vote(kind, first, second):
    """A row of the SWE Arena."""

    def state(turns):
        return {"chat_mode": "battle_anony", "model_name": "m", "roles": ["Human", "Assistant"], "messages": turns}

    return {
        "type": "vote", "feedback": {"vote_type": kind, "correctness": None, "efficiency": None},
        "models": {"model_A": "m1", "model_B": "m2"}, "chat_session_id": "s1", "instruction": "Draw a ball.",
        "states": {"model_A": state(first), "model_B": state(second)},
    }  # fmt: skip
