"""Encoding against the stock tokenizer, image processor and position code: ids, image tokens, positions, pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from model_cases import compare, picture, turn
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from basereward.encode import Encoder
from basereward.patches import to_pixel_values

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
    for case in cases:
        batch = stock.batch([case])
        if not case.images:
            expected = torch.arange(batch["input_ids"].shape[1]).expand(3, len(case.responses), -1)
        else:
            expected, _ = stock.model.get_rope_index(
                batch["input_ids"], mm_token_type_ids=batch["mm_token_type_ids"], image_grid_thw=batch["image_grid_thw"],
                attention_mask=batch["attention_mask"],
            )  # fmt: skip
        for i, (_, positions) in enumerate(rows_of(pack([case]))):
            torch.testing.assert_close(positions, expected[:, i, : positions.shape[1]], rtol=0, atol=0)


def test_pixels_are_those_of_the_stock_processor(stock, pack, cases):
    packed = pack(cases)
    expected = [stock.pictures(case) for case in cases if case.images]
    assert torch.equal(packed.grids, torch.cat([e["image_grid_thw"] for e in expected]))
    pixels = to_pixel_values(packed.patches, packed.pixel_mean, packed.pixel_std, frames=packed.frames)
    torch.testing.assert_close(pixels, torch.cat([e["pixel_values"] for e in expected]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("limits", [{}, {"max_pixels": 28 * 28 * 16}, {"min_pixels": 28 * 28 * 20}], ids=["own", "max", "min"])
def test_pictures_of_any_size_and_limit(tiny_folder, size, limits):
    """Resizing: the same pixels as the stock processor with the same limits."""
    image = picture(*size, seed=1)
    expected = Qwen2VLImageProcessorPil.from_pretrained(tiny_folder, **limits)(images=[image], return_tensors="pt")
    encoder = Encoder.from_folder(tiny_folder, **limits)
    (patches,), (grid,) = encoder.pictures([image])
    settings = encoder.patch_settings
    assert grid == tuple(expected["image_grid_thw"][0].tolist())
    mean, std = torch.tensor(settings.mean), torch.tensor(settings.std)
    pixels = to_pixel_values(torch.from_numpy(patches), mean, std, frames=settings.frames)
    torch.testing.assert_close(pixels, expected["pixel_values"], rtol=0, atol=1e-5)
    assert patches.nbytes * 8 == expected["pixel_values"].nbytes, "a still picture travels as bytes, once"


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


def test_a_path_and_bytes_are_the_picture_they_hold(encoder, tmp_path):
    path = tmp_path / "a.png"
    picture(90, 60).save(path)
    found = [encoder.pictures([ref])[0][0] for ref in (str(path), path.read_bytes(), Image.open(path))]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
