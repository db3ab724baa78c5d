"""The model class of an exported folder; exporting copies it below the source of head and pooling (see ``gather.py``).

Letters: B rows, T tokens, O tokens of the opening, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.modeling_outputs import SequenceClassifierOutput

from basereward.pooling.length_norm import divide_by_log_length

# The one token that may follow the end of a response: the newline with which chat templates close a turn.
TOKENS_AFTER_END = 1


class SequenceReward(PreTrainedModel):
    """A scalar reward for each row of a padded batch, from the response that its last ``<|im_end|>`` closes.

    The place is found by its index in each row, so the padding side, the batch and a newline after it do not matter. Head and
    pooling are float32 whatever the backbone's dtype. ``config.reward_token_id`` is the id of ``<|im_end|>``,
    ``config.reward_padding_id`` that of padding, ``config.reward_opening_ids`` what opens the assistant's turn;
    ``config.reward_head`` and ``config.reward_pooling`` hold arguments, ``config.reward_length_norm`` divides by log(length + 1).
    """

    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True
    _keep_in_fp32_modules_strict = ["score", "pooling"]
    head_class: type[nn.Module]
    pooling_class: type[nn.Module]

    def __init__(self, config: PretrainedConfig):
        super().__init__(config)
        self.model = AutoModel.from_config(config)
        self.score = self._part(self.head_class, config.reward_head)
        self.pooling = self._part(self.pooling_class, config.reward_pooling)
        self.length_norm = config.reward_length_norm
        self._no_split_modules = self.model._no_split_modules
        self.post_init()

    def _part(self, part: type[nn.Module], node: dict[str, Any]) -> nn.Module:
        arguments = {name: value for name, value in node.items() if name != "_target_"}
        return part(hidden_size=self.config.get_text_config().hidden_size, **arguments)

    @classmethod
    def from_pretrained(cls, path: Any, *args: Any, output_loading_info: bool = False, **kwargs: Any):
        """As usual, but a missing weight, or one of another shape, is an error: rewards of a drawn head mean nothing."""
        own = cls._class_of_folder(path, kwargs)
        if own is not cls:
            return own.from_pretrained(path, *args, output_loading_info=output_loading_info, **kwargs)
        model, info = super().from_pretrained(path, *args, output_loading_info=True, **kwargs)
        lost = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        if lost:
            raise ValueError(f"{path}: expected all weights, {len(lost)} are missing or of another shape: {lost[:4]}")
        return (model, info) if output_loading_info else model

    @classmethod
    def _class_of_folder(cls, path: Any, kwargs: dict[str, Any]) -> type[PreTrainedModel]:
        """The class that a folder brings along.

        transformers keeps the first class it loads for a kind of config and would use it for every later folder of that kind,
        also for one with another head.
        """
        reference = getattr(kwargs.get("config"), "auto_map", {}).get("AutoModelForSequenceClassification")
        if not kwargs.get("trust_remote_code") or reference is None:
            return cls
        options = {name: kwargs[name] for name in ("revision", "token", "cache_dir", "local_files_only") if name in kwargs}
        return get_class_from_dynamic_module(reference, path, **options)

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: all weights are loaded."""

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_grid_thw: torch.Tensor | None = None,
        mm_token_type_ids: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Rewards as ``logits`` (B, 1), float32.

        Args:
            input_ids: (B, T), each row a whole conversation whose last turn, the response, is closed by ``<|im_end|>``.
            attention_mask: (B, T), 0 on padding; found by the padding id when absent.
            pixel_values, image_grid_thw: as the processor returns them.
            mm_token_type_ids: (B, T), 1 on image tokens, 2 on video tokens; computed from ``input_ids`` when absent. (The stock
                backbone would fall back to 1-D positions in silence.)
            kwargs: further arguments of the backbone.

        Raises:
            ValueError: a row whose response is not closed, or image tokens without pixels.
        """
        if kwargs.get("labels") is not None:
            raise ValueError("labels: this model gives rewards and has no loss; it is trained with basereward")
        mask_BT = self._mask(input_ids, attention_mask)
        spans = self.response_spans(input_ids, mask_BT)
        inputs = self._image_inputs(input_ids, pixel_values, image_grid_thw, mm_token_type_ids, kwargs)
        if "mm_token_type_ids" not in inputs and "position_ids" not in kwargs:
            # Positions of one axis: without it, left padding would shift them.
            inputs["position_ids"] = (mask_BT.cumsum(-1) - 1).clamp(min=0)
        options = {"use_cache": False} | inputs | kwargs | {"return_dict": True}
        output = self.model(input_ids=input_ids, attention_mask=mask_BT, **options)
        reward_B = self.score(self.pooling(output.last_hidden_state.flatten(0, 1), spans)).float()
        if self.length_norm:
            reward_B = divide_by_log_length(reward_B, [end - start for start, end in spans])
        return SequenceClassifierOutput(
            logits=reward_B.unsqueeze(-1), hidden_states=output.hidden_states, attentions=output.attentions
        )

    def response_spans(self, input_ids: torch.Tensor, mask_BT: torch.Tensor) -> list[tuple[int, int]]:
        """[start, end) of each row's response, end token included, counted through the rows laid one after the other."""
        ends_B = self.reward_index(input_ids, mask_BT)
        starts_B = ends_B
        if self.length_norm or self.pooling_class.reads_whole_response:
            starts_B = self.response_start(input_ids, mask_BT, ends_B)
        rows = range(0, input_ids.numel(), input_ids.shape[1])
        return [(row + start, row + end + 1) for row, start, end in zip(rows, starts_B.tolist(), ends_B.tolist())]

    def response_start(self, input_ids: torch.Tensor, mask_BT: torch.Tensor, ends_B: torch.Tensor) -> torch.Tensor:
        """(B,) index of the first token of each row's response: what follows the last opening of a turn before its end.

        The whole opening is compared, so that thoughts which the template put before the response (Qwen3) are not taken for it.
        """
        opening_O = torch.tensor(self.config.reward_opening_ids, device=input_ids.device)
        place_T = torch.arange(input_ids.shape[1], device=input_ids.device)
        is_first_BT = (input_ids == opening_O[0]) & mask_BT.bool() & (place_T < ends_B.unsqueeze(1))
        first_B = torch.where(is_first_BT, place_T, -1).amax(1)
        starts_B = first_B + len(opening_O)
        place_BO = first_B.unsqueeze(1) + torch.arange(len(opening_O), device=input_ids.device)
        found_BO = input_ids.gather(1, place_BO.clamp(0, input_ids.shape[1] - 1))
        wrong_B = (first_B < 0) | (starts_B > ends_B) | (found_BO != opening_O).any(1)
        if wrong_B.any():
            row = int(wrong_B.int().argmax())
            raise ValueError(
                f"row {row}: expected a response that begins after the opening of an assistant's turn (ids {opening_O.tolist()}), "
                f"found {found_BO[row].tolist() if first_B[row] >= 0 else 'none'}. Render the conversation with the chat template of "
                "this folder and add_generation_prompt=False; the response must be text without a block of thoughts, and must "
                "not begin with a line break"
            )
        return starts_B

    def reward_index(self, input_ids: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """(B,) index of the last ``<|im_end|>`` of each row; a row that goes on after it has an unfinished response."""
        is_real_BT = mask_BT.bool()
        is_end_BT = (input_ids == self.config.reward_token_id) & is_real_BT
        last_B = input_ids.shape[1] - 1 - is_end_BT.flip(1).int().argmax(1)
        after_B = (is_real_BT & (torch.arange(input_ids.shape[1], device=input_ids.device) > last_B.unsqueeze(1))).sum(1)
        open_B = ~is_end_BT.any(1) | (after_B > TOKENS_AFTER_END)
        if open_B.any():
            raise ValueError(
                f"row {int(open_B.int().argmax())}: expected a response closed by <|im_end|> (id {self.config.reward_token_id}), "
                "and nothing but a newline after it; found an open turn. Render the conversation with the assistant's turn, with "
                "add_generation_prompt=False, and do not truncate it"
            )
        return last_B

    def _mask(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        if attention_mask is not None:
            return attention_mask
        padding_id = getattr(self.config, "reward_padding_id", None)
        if padding_id is not None and padding_id != self.config.reward_token_id:
            return (input_ids != padding_id).long()
        if len(input_ids) > 1:
            raise ValueError("attention_mask: needed for a batch, because the padding id does not tell padding from text")
        return torch.ones_like(input_ids)

    def _image_inputs(self, input_ids, pixel_values, image_grid_thw, mm_token_type_ids, others) -> dict[str, torch.Tensor]:
        """What the backbone needs beside ids where there are images or videos; empty for text."""
        is_image_BT = input_ids == getattr(self.config, "image_token_id", -1)
        if pixel_values is None and "pixel_values_videos" not in others:
            if is_image_BT.any():
                raise ValueError(f"pixel_values: input_ids has {int(is_image_BT.sum())} image tokens, found no pixels for them")
            return {}
        is_3d = image_grid_thw is not None or "video_grid_thw" in others
        if mm_token_type_ids is None and is_3d:
            mm_token_type_ids = is_image_BT.int() + 2 * (input_ids == getattr(self.config, "video_token_id", -1)).int()
        given = {"pixel_values": pixel_values, "image_grid_thw": image_grid_thw, "mm_token_type_ids": mm_token_type_ids}
        return {name: value for name, value in given.items() if value is not None}
