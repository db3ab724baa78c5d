"""What a family of backbones decides: its special tokens, pictures, positions, how images enter, and what it refuses.

The rest of the package calls these methods and has no case for any family. A new family is a new file with a ``FAMILY``.
Letters: T tokens of a prefix, S of a row, A axes of a rotary position, N image tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedModel

from basereward.backbones.towers import Tower
from basereward.errors import ConfigError
from basereward.patches import Grid, PictureSettings

if TYPE_CHECKING:
    from basereward.packing import Pack


@dataclass(frozen=True)
class ImageFeatures:
    """All that the language model takes of the images of a pack; keeping it saves the vision tower.

    Attributes:
        tokens: (N, D), in place of the embeddings of the image tokens.
        deep: (N, D) for each of the first layers, added after it at the image tokens; empty without deepstack.
    """

    tokens: torch.Tensor
    deep: tuple[torch.Tensor, ...] = ()


class Family:
    """A family whose language model is a plain Qwen2 or Qwen3 decoder with 1-D positions; others override what differs.

    Attributes:
        model_types: values of ``config.model_type``.
        image_token: what the chat template writes for a picture, repeated once per image token; ``None`` reads text only.
        image_markup: what stands in the prompt for that marker, with the token in it.
        attention_key: which part of the config holds the language model's attention.
        vision_key: which part holds that of a tower whose windows and pictures are of many lengths; ``None`` without such a one.
    """

    model_types: tuple[str, ...] = ()
    image_token: str | None = None
    image_markup: str | None = None
    attention_key: str = "text_config"
    vision_key: str | None = None

    def check(self, config: PretrainedConfig) -> None:
        """Refuses what packed attention cannot compute exactly."""
        text = config.get_text_config()
        if getattr(text, "use_sliding_window", False) or "sliding_attention" in (getattr(text, "layer_types", None) or ()):
            raise ConfigError(
                "backbone: the checkpoint sets use_sliding_window=true; packed attention looks at the whole prefix and would "
                "ignore the window in silence. Set use_sliding_window to false in its config.json (and layer_types to "
                "full_attention, where it lists them) if the model was trained without it."
            )
        rope = (getattr(text, "rope_parameters", None) or {}).get("rope_type", "default")
        if rope in ("dynamic", "longrope"):
            raise ConfigError(
                f"backbone: expected rotary frequencies that do not depend on a row's length, found rope_type={rope!r}; in a pack "
                "they would change with the neighbours. Use the checkpoint with rope_type default, linear or yarn."
            )

    def image_processor(
        self, folder: str | Path, *, min_pixels: int | None = None, max_pixels: int | None = None, **options: Any
    ) -> Any:
        """The stock image processor of a folder or Hub id with our limits; ``None`` for a family without pictures."""
        limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
        for name, value in limits.items():
            if value is not None:
                raise ConfigError(f"backbone.{name}: expected null for a backbone that reads text only, found {value}")

    def picture_settings(self, processor: Any, config: PretrainedConfig) -> PictureSettings:
        """How pictures are cut, from the image processor and the model's config."""
        raise NotImplementedError

    def tower(self, config: PretrainedConfig) -> Tower | None:
        """What the patches of a picture see in the vision tower; ``None`` for a family without pictures."""
        return None

    def positions(
        self, ids_T: np.ndarray, image_id: int, grids: Sequence[Grid], settings: PictureSettings | None
    ) -> tuple[np.ndarray, int]:
        """(A, T) int64 rotary positions of a prefix, and the position of the token after it."""
        return np.arange(len(ids_T), dtype=np.int64)[None], len(ids_T)

    def language_positions(self, position_ids: torch.Tensor) -> torch.Tensor:
        """(A, 1, S) -> the form that the family's language model takes."""
        return position_ids[0]

    def vision_inputs(
        self, patches: torch.Tensor, grids: torch.Tensor, *, mean: torch.Tensor, std: torch.Tensor, frames: int
    ) -> dict[str, torch.Tensor]:
        """uint8 patches -> the stock model's keyword arguments for pictures, on the device of the patches."""
        raise NotImplementedError

    def image_features(self, backbone: PreTrainedModel, pack: Pack) -> ImageFeatures:
        """Each image of the pack through the vision tower, once."""
        inputs = self.vision_inputs(pack.patches, pack.grids, mean=pack.pixel_mean, std=pack.pixel_std, frames=pack.frames)
        return self.read_features(backbone.get_image_features(**inputs, return_dict=True))

    def read_features(self, output: Any) -> ImageFeatures:
        """What ``get_image_features`` returned, as one row of image tokens."""
        raise NotImplementedError

    def mergers(self, backbone: PreTrainedModel) -> list[torch.nn.Module]:
        """What stands between tower and language model: the merger of the tokens, and one for each depth of ``ImageFeatures.deep``."""
        raise NotImplementedError

    def merger_width(self, merger: torch.nn.Module) -> int:
        """Numbers that go into a merger for one image token."""
        raise NotImplementedError

    def before_merger(self, backbone: PreTrainedModel, pack: Pack) -> ImageFeatures:
        """What goes into the mergers, (N, W) for each: the tower's part of ``image_features``, and ``merge`` does the rest."""
        # Passed through in place of their output, so that the stock model brings the rows into the order of the tokens.
        hooks = [merger.register_forward_hook(_input_by_token) for merger in self.mergers(backbone)]
        try:
            return self.image_features(backbone, pack)
        finally:
            for hook in hooks:
                hook.remove()

    def merge(self, backbone: PreTrainedModel, features: ImageFeatures) -> ImageFeatures:
        """What ``before_merger`` gave, through the mergers."""
        inputs = (features.tokens, *features.deep)
        tokens, *deep = [merger(rows) for merger, rows in zip(self.mergers(backbone), inputs, strict=True)]
        return ImageFeatures(tokens, tuple(deep))

    def enter(self, embeds: torch.Tensor, is_image: torch.Tensor, features: ImageFeatures) -> tuple[torch.Tensor, dict[str, Any]]:
        """Puts image features into a row.

        Args:
            embeds: (1, S, D) of the tokens. is_image: (1, S) bool.

        Returns:
            (1, S, D), and further arguments of the language model.
        """
        place = is_image.unsqueeze(-1).expand_as(embeds)
        return embeds.masked_scatter(place, features.tokens.to(embeds.dtype)), {}


def _input_by_token(merger: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    """A merger's input in the place of its output, the patches of a token side by side."""
    return inputs[0].reshape(*output.shape[:-1], -1)
