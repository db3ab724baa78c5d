"""Encoding against the stock tokenizer, image processor and position code: ids, image tokens, positions, pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from model_cases import compare, picture, turn
from PIL import Image
from stock_processors import stock_processor
from twin_folders import SEEING, TEXT_ONLY

from basereward.encode import Encoder
from basereward.errors import CheckpointError, ConfigError
from basereward.packing import collate

SIZES = [(56, 56), (84, 28), (100, 75), (31, 90), (20, 20), (5, 3), (13, 400), (400, 13), (333, 222), (28, 2800), (57, 55)]


def rows_of(pack) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(ids, positions) of each prefix + response, cut out of a packed row."""
    rows = []
    for piece in pack.tree.pieces:
        for start, end in zip((piece.prefix_end, *piece.ends[:-1]), piece.ends):
            index = torch.cat([torch.arange(piece.start, piece.prefix_end), torch.arange(start, end)])
            rows.append((pack.input_ids[0, index], pack.position_ids[:, 0, index]))
    return rows


def test_ids_are_those_of_one_string_per_response(stock, pack, cases):
    """The template, the expansion of image markers and the split into prefix and response leave the stock ids."""
    expected = [row for case in cases for row in stock.rows(case)]
    assert [ids.tolist() for ids, _ in rows_of(pack(cases))] == expected


def test_positions_are_those_of_get_rope_index(stock, pack, cases):
    """And 0, 1, 2, ... without pictures or for families of one axis."""
    for case in cases:
        batch = stock.batch([case])
        if not case.images or not hasattr(stock.model, "get_rope_index"):
            axes = 3 if hasattr(stock.model, "get_rope_index") else 1
            expected = torch.arange(batch["input_ids"].shape[1]).expand(axes, len(case.responses), -1)
        else:
            expected, _ = stock.model.get_rope_index(
                batch["input_ids"], mm_token_type_ids=batch["mm_token_type_ids"], image_grid_thw=batch["image_grid_thw"],
                attention_mask=batch["attention_mask"],
            )  # fmt: skip
        for i, (_, positions) in enumerate(rows_of(pack([case]))):
            torch.testing.assert_close(positions, expected[:, i, : positions.shape[1]], rtol=0, atol=0)


def vision_inputs(encoder, packed) -> dict[str, torch.Tensor]:
    """What our pack gives the vision tower."""
    return encoder.family.vision_inputs(
        packed.patches, packed.grids, mean=packed.pixel_mean, std=packed.pixel_std, frames=packed.frames
    )


def same_inputs(found: dict[str, torch.Tensor], expected: list[dict[str, torch.Tensor]]) -> None:
    assert found.keys() == {"pixel_values", "image_grid_thw"} & expected[0].keys()
    for key, value in found.items():
        torch.testing.assert_close(value, torch.cat([e[key] for e in expected]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("tiny_folder", SEEING, indirect=True)
def test_pixels_are_those_of_the_stock_processor(encoder, stock, pack, cases):
    same_inputs(vision_inputs(encoder, pack(cases)), [stock.inputs(case)[0] for case in cases if case.images])


@pytest.mark.parametrize("tiny_folder", SEEING, indirect=True)
@pytest.mark.parametrize("limits", [{}, {"max_pixels": 28 * 28 * 16}, {"min_pixels": 28 * 28 * 20}], ids=["own", "max", "min"])
def test_pictures_of_any_size_and_limit(tiny_folder, limits):
    """Resizing and tiling: the same ids and pixels as the stock processor with the same limits."""
    encoder, stock = Encoder.from_folder(tiny_folder, **limits), stock_processor(tiny_folder, **limits)
    for size in SIZES:
        item = encoder.encode(compare(turn("user", None, "Which?"), images=[picture(*size, seed=1)], responses=["a", "b"]))
        text = encoder.tokenizer.decode(item.prefix_ids).replace(encoder.family.image_token, "")
        text = text.replace("<|vision_start|>", "<|vision_start|><|image_pad|>").replace("<img></img>", "<IMG_CONTEXT>")
        expected = dict(stock(text=[text], images=[picture(*size, seed=1)], return_tensors="pt"))
        assert item.prefix_ids.tolist() == expected["input_ids"][0].tolist()
        packed = collate([item], encoder.patch_settings)
        same_inputs(vision_inputs(encoder, packed), [expected])
        assert packed.patches.nbytes * 4 * packed.frames == expected["pixel_values"].nbytes, (
            "a still picture travels as bytes, once"
        )


@pytest.mark.parametrize("tiny_folder", ["tiny_internvl"], indirect=True)
@pytest.mark.parametrize(
    ("limits", "message"), [({"max_pixels": 3000}, "at least one tile of 3136"), ({"min_pixels": 50000}, "at most 12 tiles")]
)
def test_limits_that_no_tiles_meet_are_refused(tiny_folder, limits, message):
    with pytest.raises(ConfigError, match=message):
        Encoder.from_folder(tiny_folder, **limits)


@pytest.mark.parametrize("tiny_folder", TEXT_ONLY, indirect=True)
def test_a_text_only_backbone_refuses_pictures_and_their_limits(tiny_folder, encoder):
    with pytest.raises(CheckpointError, match=r"reads text only.*1 image"):
        encoder.encode(compare(turn("user", None, "What?"), images=[picture(56, 56)], responses=["a", "b"]))
    with pytest.raises(ConfigError, match=r"backbone\.max_pixels: expected null"):
        Encoder.from_folder(tiny_folder, max_pixels=100_000)


@pytest.mark.parametrize("tiny_folder", ["tiny_qwen3"], indirect=True)
def test_a_response_stands_where_the_template_of_a_whole_conversation_writes_it(encoder):
    """Qwen3's writes an empty block of thoughts before the last answer; the opening of a turn to generate has none."""
    messages = [turn("user", "Hi."), turn("assistant", "Hello."), turn("user", "Why?")]
    assert encoder.chat.prefix_text(messages).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert encoder.chat.prefix_text(messages).count("<think>") == 1


def test_a_template_that_does_not_close_the_response_is_refused(tiny_folder):
    encoder = Encoder.from_folder(tiny_folder)
    encoder.tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    with pytest.raises(CheckpointError, match="close it with"):
        encoder.chat.prefix_text([turn("user", "Hi.")])


@pytest.mark.parametrize("tiny_folder", ["tiny"], indirect=True)
def test_lengths_need_no_pixels(encoder, tmp_path):
    """A file is opened for its size alone: one cut off after its header has the length of the whole."""
    path, cut = tmp_path / "whole.png", tmp_path / "cut.png"
    picture(140, 84).save(path)
    cut.write_bytes(path.read_bytes()[:200])
    whole = compare(turn("user", None, "What is it?"), images=[str(path)], responses=["A.", "Another."])
    encoded = encoder.encode(whole)
    expected = encoded.lengths
    assert encoder.length(dataclasses.replace(whole, images=(str(cut),))) == expected
    assert expected.image_tokens == (15,) and expected.prefix == len(encoded.prefix_ids)
    assert expected.responses == tuple(len(ids) for ids in encoded.response_ids)
    assert expected.packed == expected.prefix + sum(expected.responses)
    assert expected.longest == expected.prefix + max(expected.responses)


def test_lengths_are_those_of_the_pack(encoder, pack, cases):
    assert sum(encoder.length(case).packed for case in cases) == pack(cases).num_tokens
    for case in cases:
        assert encoder.length(case) == encoder.encode(case).lengths


@pytest.mark.parametrize("tiny_folder", SEEING, indirect=True)
def test_a_path_and_bytes_are_the_picture_they_hold(encoder, tmp_path):
    path = tmp_path / "a.png"
    picture(90, 60).save(path)
    found = [encoder.pictures([ref])[0][0] for ref in (str(path), path.read_bytes(), Image.open(path))]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
