"""The usual ways, as opponents: stock transformers, one row for each response, the image encoded for each row.

R: padded rows in random order, which is what TRL, LLaMA-Factory and ms-swift do. S: the same, sorted by length. U: rows without
padding, one after another in one long row, each of which sees itself alone (what flash-attn's users call padding-free).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from basereward.encode import Encoded
from basereward.losses.bradley_terry import BradleyTerry
from basereward.losses.labels import Labels
from basereward.patches import to_pixel_values
from bench import segments
from bench.models import SETTINGS, Models


@dataclass
class Rows:
    """One forward of stock transformers: its arguments, where each row ends, its labels, and what it computes.

    Attributes:
        inputs: of the stock model, or of its language model when ``layout`` is there. pixels: of the images, each as often as rows
            show it. last: (R,) index of each row's end in the flattened hidden states. labels: of the R rewards.
        computed: tokens of each row, padding included. layout: which rows lie in the one long row.
    """

    inputs: dict[str, torch.Tensor]
    pixels: dict[str, torch.Tensor]
    last: torch.Tensor
    labels: Labels
    computed: list[int]
    layout: segments.Segments | None = None


def dealt(items: Sequence[Encoded], tokens: Callable[[Sequence[Encoded]], int], limit: int) -> Iterator[list[Encoded]]:
    """Consecutive groups of at most ``limit`` tokens, as ``tokens`` counts them; a comparison above it goes alone."""
    group: list[Encoded] = []
    for item in items:
        if group and tokens([*group, item]) > limit:
            yield group
            group = []
        group.append(item)
    yield group


def padded_tokens(items: Sequence[Encoded]) -> int:
    """Of one row for each response, all as long as the longest."""
    return max(item.lengths.longest for item in items) * sum(item.num_responses for item in items)


def unpadded_tokens(items: Sequence[Encoded]) -> int:
    """Of one row for each response."""
    return sum(item.num_responses * item.lengths.prefix + sum(item.lengths.responses) for item in items)


def by_length(items: Sequence[Encoded]) -> np.ndarray:
    """Order of comparisons by their longest row: those of one forward are of like length."""
    return np.argsort([item.lengths.longest for item in items], kind="stable")


def pad(items: Sequence[Encoded], models: Models, device: torch.device) -> Rows:
    """Comparisons -> right-padded rows, ready on the device, so that only the model is timed."""
    rows = [torch.from_numpy(np.concatenate([item.prefix_ids, ids])) for item in items for ids in item.response_ids]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    inputs = {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long()}
    pixels = _pixels(items, models.stock.dtype)
    if pixels:
        inputs["mm_token_type_ids"] = (ids == models.stock.config.image_token_id).int()
    last = torch.arange(len(rows)) * ids.shape[1] + lengths - 1
    return _moved(Rows(inputs, pixels, last, Labels.of(items), [ids.shape[1]] * len(rows)), device)


def join(items: Sequence[Encoded], models: Models, device: torch.device) -> Rows:
    """Comparisons -> rows laid end to end, ready on the device."""
    ids, positions = [], []
    for item in items:
        for response in item.response_ids:
            ids.append(np.concatenate([item.prefix_ids, response]))
            following = np.arange(item.next_position, item.next_position + len(response))
            positions += [item.position_ids, np.broadcast_to(following, (len(item.position_ids), len(response)))]
    lengths = [len(row) for row in ids]
    position_ids = torch.from_numpy(np.concatenate(positions, axis=1))[:, None]
    inputs = {
        "input_ids": torch.from_numpy(np.concatenate(ids))[None],
        "position_ids": position_ids if len(position_ids) > 1 else position_ids[0],
    }
    last, layout = torch.tensor(lengths).cumsum(0) - 1, segments.Segments(tuple(lengths), device)
    return _moved(Rows(inputs, _pixels(items, models.stock.dtype), last, Labels.of(items), lengths, layout), device)


def rewards(models: Models, rows: Rows) -> torch.Tensor:
    """(R,) rewards of stock layers, through public hooks alone."""
    if rows.layout is None:
        output = models.stock(**rows.inputs, **rows.pixels, use_cache=False)
    else:
        output = _joined(models, rows)
    return models.score(output.last_hidden_state.flatten(0, 1)[rows.last])


def _joined(models: Models, rows: Rows):
    ids = rows.inputs["input_ids"]
    embeds = models.stock.get_input_embeddings()(ids)
    if rows.pixels:
        features = torch.cat(tuple(models.stock.get_image_features(**rows.pixels, return_dict=True).pooler_output))
        place = (ids == models.stock.config.image_token_id).unsqueeze(-1).expand_as(embeds)
        embeds = embeds.masked_scatter(place, features.to(embeds.dtype))
    positions = rows.inputs["position_ids"]
    return models.language_model(inputs_embeds=embeds, position_ids=positions, use_cache=False, segments=rows.layout)


def step(models: Models, rows: Rows) -> torch.Tensor:
    """Forward and backward; (R,) rewards."""
    reward_R = rewards(models, rows)
    BradleyTerry()(reward_R, rows.labels).sum().backward()
    return reward_R.detach()


def _pixels(items: Sequence[Encoded], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The pictures of every row, one after another."""
    shown = [(p, grid) for item in items for _ in item.response_ids for p, grid in zip(item.patches, item.grids)]
    if not shown:
        return {}
    mean, std = torch.tensor(SETTINGS.mean), torch.tensor(SETTINGS.std)
    values = [to_pixel_values(torch.from_numpy(p), mean, std, frames=SETTINGS.frames) for p, _ in shown]
    return {"pixel_values": torch.cat(values).to(dtype), "image_grid_thw": torch.tensor([grid for _, grid in shown])}


def _moved(rows: Rows, device: torch.device) -> Rows:
    rows.inputs = {key: x.to(device) for key, x in rows.inputs.items()}
    rows.pixels = {key: x.to(device) for key, x in rows.pixels.items()}
    rows.last, rows.labels = rows.last.to(device), rows.labels.to(device)
    return rows
