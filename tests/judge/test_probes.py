"""Style probes and consistency: by hand with rewards that are a rule of the text, and with a small model on real packs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_rows import rows

from basereward import scorer
from basereward.compose import compose
from basereward.config import build
from basereward.diagnostics import styles, variants
from basereward.diagnostics.base import Subject
from basereward.diagnostics.probes import question_of
from basereward.errors import ConfigError, DataError
from basereward.images import load_image
from basereward.records import parse_row
from basereward.samples import with_rewards
from basereward.settings import DiagnoseSettings

NODES = compose("diagnose", ["model=none"], DiagnoseSettings).diagnostics
ITEMS = [parse_row(row, where=f"rows:{n}") for n, row in enumerate(rows())]
ANSWER = "It is red. Very red."


class Ruled:
    """A scorer whose rewards are a rule of the response; items of some ids cannot be scored."""

    def __init__(self, rule, broken=()):
        self.rule, self.broken = rule, broken

    def score_comparisons(self, comparisons, *, progress=None, catch=()):
        for item in comparisons:
            yield DataError("broken") if item.id in self.broken else np.array([self.rule(t) for t in item.responses], np.float32)


def subject_of(rule, broken=()) -> Subject:
    rewards = [[rule(text) for text in item.responses] for item in ITEMS]
    return Subject(with_rewards(ITEMS, rewards), ITEMS, Ruled(rule, broken))


@pytest.fixture(scope="module")
def rm(tiny_run) -> scorer.Scorer:
    return scorer.load(tiny_run, device="cpu")


def probes(**options):
    return build(NODES["probes"] | options, key="probes")


def consistency(**options):
    return build(NODES["consistency"] | options, key="consistency")


# Styles


@pytest.mark.parametrize(
    ("style", "expected"),
    {
        "markdown": "## Answer\n\n- **It** is red.\n- **Very** red.",
        "hedged": f"I am not entirely sure and I may well be mistaken, but it could be the following: {ANSWER}",
        "repeated": f"{ANSWER}\n\n{ANSWER}",
        "empty": "",
        "echoed": "What is it?",
        "refusal": "I am sorry, but I cannot help with that.",
    }.items(),
)
def test_styles_by_hand(style, expected):
    assert getattr(styles, style)("What is it?", ANSWER) == expected


@pytest.mark.parametrize("style", ["verbose", "other_language"])
def test_frames_keep_the_answer(style):
    framed = getattr(styles, style)("What is it?", ANSWER)
    assert framed.count(ANSWER) == 1 and not framed.startswith(ANSWER) and not framed.endswith(ANSWER)


def test_the_question_is_the_text_of_the_last_turn():
    turns = [
        {"role": "user", "content": "First."},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And <image> now?"},
    ]
    item = parse_row({"messages": turns, "images": rows()[1]["images"], "chosen": "a", "rejected": "b"}, where="here")
    assert "First" not in question_of(item) and "And" in question_of(item) and "<image>" not in question_of(item)


# Probes


def test_a_model_that_counts_characters_is_found_out():
    found = probes().measure(subject_of(len))
    better = np.array([len(item.responses[item.pairs[0].better]) for item in ITEMS])
    worse = np.array([len(item.responses[item.pairs[0].worse]) for item in ITEMS])
    empty, verbose = found["styles"]["empty"], found["styles"]["verbose"]
    assert (found["items"], found["failed"]) == (7, 0)
    assert found["typical_margin"] == pytest.approx(np.sqrt(np.mean((better - worse) ** 2)))
    assert found["original_beats_worse"] == pytest.approx((better > worse).mean())
    assert empty["change"] == pytest.approx(-better.mean()) and empty["raised"] == empty["beats_worse"] == 0
    assert empty["in_margins"] == pytest.approx(-better.mean() / found["typical_margin"])
    added = len(styles.verbose("", ""))
    assert verbose["change"] == added and verbose["interval_95"] == [added, added] and verbose["raised"] == 1
    assert verbose["beats_worse"] == (better + added > worse).mean()
    assert empty["interval_95"][0] < empty["change"] < empty["interval_95"][1]
    lines = probes().told(found).splitlines()
    assert lines[2].startswith("verbose") and sum(line.startswith("empty") for line in lines) == 1


def test_items_that_cannot_be_scored_are_counted_apart():
    found = probes(limit=4).measure(subject_of(len, broken=["q0"]))
    assert (found["items"], found["failed"]) == (3, 1)
    assert probes().measure(subject_of(len, broken=[item.id for item in ITEMS])) is None
    assert probes().measure(Subject([])) is None


def test_an_empty_answer_gets_a_reward_and_a_pack_gives_what_single_answers_get(rm):
    probe = probes()
    for item in ITEMS[:2]:
        altered = probe.altered(item)
        assert altered.responses[list(probe.styles).index("empty") + 2] == ""
        together = next(rm.score_comparisons([altered]))
        alone = [next(rm.score_comparisons([replace(altered, responses=(text,))]))[0] for text in altered.responses]
        assert np.isfinite(together).all() and np.abs(together - alone).max() < 1e-5
        assert len(np.unique(together.round(6))) == len(together), "every style is another text"


# Variants and consistency


@pytest.mark.parametrize("name", ["lines", "spaces", "trailing"])
def test_variants_change_white_space_alone(name):
    item = parse_row({"prompt": "q", "chosen": "One. Two? 3.5 is\nthree.", "rejected": "e.g. this. That"}, where="here")
    changed = getattr(variants, name)(item)
    assert changed.responses != item.responses and changed.messages == item.messages
    assert [text.split() for text in changed.responses] == [text.split() for text in item.responses]


def test_a_variant_that_changes_nothing_does_not_apply():
    item = parse_row({"prompt": "q", "chosen": "One", "rejected": "Two"}, where="here")
    assert [variant(item) for variant in (variants.lines, variants.spaces, variants.png, variants.jpeg)] == [None] * 4
    assert variants.prompt_lines(item).messages[0]["content"][-1]["text"] == "\n\n" and len(item.messages[0]["content"]) == 1


def test_png_keeps_every_pixel_and_jpeg_nearly():
    before = np.asarray(load_image(ITEMS[1].images[0]), dtype=int)
    png, jpeg = (np.asarray(load_image(v(ITEMS[1]).images[0]), dtype=int) for v in (variants.png, variants.jpeg))
    assert (png == before).all() and 0 < np.abs(jpeg - before).max() < 60


def test_consistency_by_hand():
    """A model that rewards new lines gives its verdicts to the layout."""
    found = consistency().measure(subject_of(lambda text: float(text.count("\n"))))["variants"]
    assert found["again"]["largest"] == 0 and found["again"]["verdicts_changed"] == 0 and found["again"]["items"] == 7
    assert found["again"]["change"] is None, "no margin there to compare with"
    assert found["trailing"]["largest"] == 0, "both responses get one more"
    # q0..q5: one break in the better response against n in the worse, "No idea. " n + 1 times; r: 0, 1, 0 breaks for three pairs.
    moves = [1 - n for n in range(6)] + [-1, 0, 1]
    assert found["lines"]["largest"] == 4 and found["lines"]["verdicts_changed"] == np.mean(np.array(moves) != 0)
    assert found["lines"]["accuracy"] == np.mean(np.array(moves) > 0) and found["lines"]["accuracy_before"] == 0
    assert found["png"]["items"] == 3


def test_a_real_model_scores_the_same_pixels_the_same(rm):
    samples = with_rewards(ITEMS, rm.score_comparisons(ITEMS))
    found = consistency().measure(Subject(samples, ITEMS, rm))["variants"]
    assert found["again"]["largest"] < 1e-5 and found["png"]["largest"] < 1e-5
    assert found["jpeg"]["largest"] > 1e-5 and found["trailing"]["largest"] > 1e-5 and found["prompt_lines"]["largest"] > 1e-5
    assert found["again"]["accuracy"] == found["again"]["accuracy_before"]
    assert consistency().told({"variants": found}).count("\n") == 1 + len(found)


def test_unknown_functions_are_refused_with_near_matches():
    with pytest.raises(ConfigError, match="markdown"):
        probes(styles={"mine": "basereward.diagnostics.styles.markdwn"})
    with pytest.raises(ConfigError, match="at least one"):
        consistency(variants={"png": None})
