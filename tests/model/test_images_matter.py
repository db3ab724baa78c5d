"""A reward depends on the pictures: on their presence, their order and their pixels; and text alone needs none."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from model_cases import CASES, compare, picture, turn
from twin_folders import SEEING

pytestmark = pytest.mark.parametrize("tiny_folder", SEEING, indirect=True)

VISIBLE = 1e-3
"""Least change of a reward that counts; a hundred times the tolerance of equality. Seen: 0.01 and more."""


def rewards(model, pack, comparison) -> torch.Tensor:
    with torch.no_grad():
        return model(pack([comparison]))


@pytest.fixture
def seen(model, pack):
    return lambda comparison: rewards(model, pack, comparison)


def test_removing_the_image_changes_the_reward(seen):
    responses = ["A red ring.", "Two squares."]
    with_image = compare(turn("user", None, "What is it?"), images=[picture(84, 84)], responses=responses)
    without = compare(turn("user", "What is it?"), responses=responses)
    assert (seen(with_image) - seen(without)).abs().min() > VISIBLE


def test_swapping_two_images_changes_the_reward(seen):
    """Of one size, so that only their contents change places."""
    images = (picture(84, 84, 1), picture(84, 84, 2))
    case = compare(turn("user", "One:", None, "two:", None, "Which?"), images=images, responses=["The first.", "The second."])
    assert (seen(case) - seen(dataclasses.replace(case, images=images[::-1]))).abs().min() > VISIBLE


def test_changed_pixels_change_the_reward(seen):
    image = picture(84, 84, 1)
    changed = image.copy()
    changed.paste((255, 0, 0), (28, 28, 56, 56))
    case = compare(turn("user", None, "Which colour?"), images=[image], responses=["Red.", "Blue."])
    assert (seen(case) - seen(dataclasses.replace(case, images=(changed,)))).abs().min() > VISIBLE


def test_a_neighbours_image_does_not(model, pack):
    """Images of one pack stay with their own comparison."""
    first = compare(turn("user", None, "Which colour?"), images=[picture(84, 84, 1)], responses=["Red.", "Blue."])
    rows = [pack([first, dataclasses.replace(first, images=(picture(84, 84, seed),))]) for seed in (2, 3)]
    with torch.no_grad():
        one, other = (model(row) for row in rows)
    torch.testing.assert_close(one[:2], other[:2], rtol=0, atol=1e-5)
    assert (one[2:] - other[2:]).abs().min() > VISIBLE


def test_the_question_and_the_place_of_the_image_matter(seen):
    image = [picture(84, 84)]
    before = compare(turn("user", None, "x y"), images=image, responses=["a", "b"])
    after = compare(turn("user", "x y", None), images=image, responses=["a", "b"])
    assert (seen(before) - seen(after)).abs().min() > VISIBLE


def test_every_image_parameter_learns(model, pack, cases):
    model(pack(cases)).pow(2).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_pack_of_text_alone_trains(model, pack):
    """Rewards, and gradients for all of the language model and the head; the vision tower is left out, not fed with nothing."""
    texts = [CASES["text alone"](), CASES["a prompt longer than its answers"]()]
    packed = pack(texts)
    assert packed.patches is None and packed.grids is None
    model(packed).pow(2).sum().backward()
    for name, parameter in model.named_parameters():
        if name.startswith(("model.visual.", "model.vision_tower.", "model.multi_modal_projector.")):
            assert parameter.grad is None, name
        else:
            assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_text_and_image_rows_side_by_side(model, pack, cases):
    text, image = CASES["text alone"](), CASES["one image"]()
    with torch.no_grad():
        mixed = model(pack([text, image, text]))
    torch.testing.assert_close(mixed[:2], rewards(model, pack, text), rtol=0, atol=1e-5)
    torch.testing.assert_close(mixed[2:4], rewards(model, pack, image), rtol=0, atol=1e-5)
    torch.testing.assert_close(mixed[4:], mixed[:2], rtol=0, atol=1e-5)
