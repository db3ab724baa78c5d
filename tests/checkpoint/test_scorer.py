"""``basereward.load(...).score(...)``: every way to ask, and what it says to wrong questions."""

from __future__ import annotations

import dataclasses
import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import basereward
from basereward import images, scorer
from basereward.errors import BaseRewardError, ConfigError, DataError

ANSWERS = ["Red.", "I cannot tell from here."]


@pytest.fixture(scope="module")
def rm(saved_once) -> scorer.Scorer:
    return basereward.load(saved_once, device="cpu")


@pytest.fixture(scope="module")
def car() -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (60, 84, 3), dtype=np.uint8))


def close(a, b) -> bool:
    return np.abs(np.array(a) - np.array(b)).max() <= 1e-6


def test_rewards_are_floats_in_the_order_of_the_responses(rm):
    rewards = rm.score("What colour is it?", ANSWERS)
    assert [type(reward) for reward in rewards] == [float, float]
    assert close(rewards, rm.score("What colour is it?", ANSWERS[::-1])[::-1])
    assert close(rewards, [rm.score("What colour is it?", [answer])[0] for answer in ANSWERS])


def test_an_image_may_be_a_path_bytes_or_a_pil_image(rm, car, tmp_path):
    path = tmp_path / "car.png"
    car.save(path)
    buffer = io.BytesIO()
    car.save(buffer, format="PNG")
    given = [path, str(path), buffer.getvalue(), car]
    rewards = [rm.score("What colour is it?", ANSWERS, images=[image]) for image in given]
    assert all(close(rewards[0], other) for other in rewards)
    assert not close(rewards[0], rm.score("What colour is it?", ANSWERS))


def test_markers_say_where_images_stand(rm, car):
    first = rm.score("What colour is it?", ANSWERS, images=[car])
    assert close(first, rm.score("<image>What colour is it?", ANSWERS, images=[car]))
    assert not close(first, rm.score("What colour is it? <image>", ANSWERS, images=[car]))


def test_a_prompt_may_be_messages(rm, car):
    parts = [{"type": "image"}, {"type": "text", "text": "What colour is it?"}]
    question = [{"role": "user", "content": parts}]
    assert close(rm.score(question, ANSWERS, images=[car]), rm.score("What colour is it?", ANSWERS, images=[car]))
    turns = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Colour?"},
    ]
    assert not close(rm.score(turns, ANSWERS), rm.score("Colour?", ANSWERS))


def test_a_system_prompt_may_be_given_either_way(rm):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Colour?"}]
    given = rm.score("Colour?", ANSWERS, system="Be brief.")
    assert close(given, rm.score(messages, ANSWERS))
    assert not close(given, rm.score("Colour?", ANSWERS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Colour?", "Red."), "responses: expected a list"),
        (("Colour?", []), "responses: expected a list"),
        (("Colour?", ["Red.", ""]), "none of them empty"),
        (("Colour?", ["Red.", 3]), "responses: expected a list"),
        ((None, ANSWERS), "prompt: expected a question"),
        (({"role": "user", "content": "Colour?"}, ANSWERS), "prompt: expected a question"),
        (("", ANSWERS), "to have text or an image"),
        (([{"role": "assistant", "content": "Red."}], ANSWERS), "to end with a user turn"),
        (([{"role": "User", "content": "Colour?"}], ANSWERS), "did you mean 'user'"),
        (([{"content": "Colour?"}], ANSWERS), "role"),
        (("Colour? <image>", ANSWERS), "found 1 marker and 0 images"),
        (("Colour?", ANSWERS, ["missing.png"]), "image missing"),
        (("Colour?", ANSWERS, [b"GIF? no"]), "not an image"),
        (("Colour?", ANSWERS, ["https://example.org/car.jpg"]), "download it"),
        (("<image> <image> Same?", ANSWERS, [Image.new("RGB", (60, 60))]), "found 2 markers and 1 image"),
        (("Colour?", ANSWERS, [Image.new("RGB", (1, 4000))]), "too elongated"),
    ],
)
def test_a_wrong_question_gets_a_clear_answer(rm, arguments, message):
    with pytest.raises(DataError, match=message):
        rm.score(*arguments)


def test_two_system_prompts_are_refused(rm):
    with pytest.raises(DataError, match="system"):
        rm.score([{"role": "system", "content": "A"}, {"role": "user", "content": "B"}], ANSWERS, system="C")


def test_too_long_is_an_error_not_a_cut(saved_once):
    short = scorer.load(saved_once, device="cpu", max_length=40)
    with pytest.raises(DataError, match="expected at most 40 tokens, found"):
        short.score("Why? " * 40, ANSWERS)


def test_one_broken_item_does_not_take_the_others_down(rm, comparisons):
    broken = dataclasses.replace(comparisons[1], images=(b"no picture",))
    found = list(rm.score_comparisons([comparisons[0], broken, comparisons[2]], catch=(DataError,)))
    expected = list(rm.score_comparisons([comparisons[0], comparisons[2]]))
    assert isinstance(found[1], DataError) and close(found[0], expected[0]) and close(found[2], expected[1])
    with pytest.raises(DataError, match="not an image"):
        list(rm.score_comparisons([comparisons[0], broken]))


def test_rewards_that_are_not_finite_fail_with_their_item(saved_once, comparisons):
    """A backbone with one broken embedding: what does not hold that token is scored as before."""
    broken = scorer.load(saved_once, device="cpu")
    expected = list(broken.score_comparisons(comparisons[:2]))
    first, second = (set(broken.encoder.encode(item, pixels=False).prefix_ids.tolist()) for item in comparisons[:2])
    token = min(first - second)
    broken.model.model.get_input_embeddings().weight.data[token] = torch.inf
    found = list(broken.score_comparisons(comparisons[:2], catch=(DataError,)))
    assert isinstance(found[0], DataError) and close(found[1], expected[1])
    with pytest.raises(DataError, match=r"rows:1 \(row-1\): expected finite rewards, found \[nan, nan\].*dtype=float32"):
        list(broken.score_comparisons(comparisons[:2]))


def tokens_computed(rm: scorer.Scorer, comparisons, **options) -> tuple[np.ndarray, list[int]]:
    """All rewards, and the tokens of each row that the language model saw."""
    rows = []
    hook = rm.model.model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(kwargs["inputs_embeds"].shape[1]), with_kwargs=True
    )
    rewards = np.concatenate(list(rm.score_comparisons(comparisons, **options)))
    hook.remove()
    return rewards, rows


@pytest.mark.parametrize("token_budget", [1, 60, 150, 10_000])
@pytest.mark.parametrize("window", [1, 3, 100])
def test_no_token_is_computed_twice_whatever_the_budget(rm, comparisons, token_budget, window):
    """Best of N under any budget: a prompt above it takes several rows, which share the keys of its prefix."""
    many = [dataclasses.replace(item, responses=tuple(f"{text} {n}" for n in range(3) for text in item.responses))
            for item in comparisons] + comparisons  # fmt: skip
    expected = np.concatenate([rm.score(item.messages, item.responses, item.images) for item in many])
    small = scorer.Scorer(rm.model, rm.encoder, token_budget=token_budget)
    found, rows = tokens_computed(small, many, window=window)
    lengths = [rm.encoder.length(item) for item in many]
    assert close(found, expected) and sum(rows) == sum(length.packed for length in lengths)
    if token_budget == 1:
        assert len(rows) == sum(len(item.responses) for item in many)
    assert max(rows) <= max(token_budget, max(length.prefix + length.responses[0] for length in lengths))


def test_an_image_file_is_read_once(rm, comparisons, tmp_path, monkeypatch):
    paths = []
    for item in comparisons:
        for image in item.images:
            paths.append(str(tmp_path / f"{len(paths)}.png"))
            image.save(paths[-1])
    refs = iter(paths)
    stored = [dataclasses.replace(item, images=tuple(next(refs) for _ in item.images)) for item in comparisons]
    read, right = [], images.read_bytes
    monkeypatch.setattr(images, "read_bytes", lambda ref: read.append(ref) or right(ref))
    opened, plain = [], Image.open
    monkeypatch.setattr(Image, "open", lambda file: opened.append(file) or plain(file))
    found = np.concatenate(list(rm.score_comparisons(stored)))
    assert sorted(read) == paths and not any(isinstance(file, str) for file in opened)
    assert close(found, np.concatenate(list(rm.score_comparisons(comparisons))))


def test_a_picture_that_was_replaced_after_its_tokens_were_counted_is_an_error(rm, comparisons):
    item = rm.encoder.encode(comparisons[1], pixels=False)
    assert len(rm.encoder.completed(item, comparisons[1].images).patches) == 1
    with pytest.raises(DataError, match="replaced meanwhile"):
        rm.encoder.completed(item, [Image.new("RGB", (300, 28))])


def test_comparisons_may_share_a_picture_that_is_still_a_file(rm, tmp_path):
    """Threads that decode one PIL image together would read its file out of turn."""
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)).save(path)
    for _ in range(3):
        shared = Image.open(path)
        items = [scorer.as_comparison("What is this?", ["Noise."], [shared], None) for _ in range(12)]
        found = np.concatenate(list(rm.score_comparisons(items)))
        assert close(found, rm.score("What is this?", ["Noise."], [path])[0])


def test_a_caller_that_stops_early_leaves_no_thread(rm, comparisons):
    before = threading.active_count()
    rewards = rm.score_comparisons(comparisons * 20, window=4)
    next(rewards)
    assert threading.active_count() > before
    rewards.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(("options", "message"), [({"dtype": "bf16"}, "dtype: 'bf16'"), ({"device": "gpu"}, "device: expected")])
def test_wrong_options_are_named(saved_once, options, message):
    with pytest.raises(ConfigError, match=message):
        scorer.load(saved_once, **options)


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(BaseRewardError, match="no such folder"):
        basereward.load("runs/none/final")


@pytest.mark.parametrize("budget", ["auto", 1.5, True])
def test_a_budget_that_is_no_number_of_tokens_is_refused(budget):
    with pytest.raises(ConfigError, match="token_budget: expected a number of tokens"):
        scorer.check_options("float32", "cpu", token_budget=budget)
