"""Reward models as other toolkits save them, on each family's tiny twin, with the rewards that plain transformers gives.

No model or head of basereward is used: stock classes, ``save_pretrained``, and names of tensors as those toolkits write them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from stock_processors import conversation_text, stock_processor
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForSequenceClassification
from transformers.modeling_layers import GenericForSequenceClassification
from twin_folders import TEXT_ONLY

FORMS = ("score", "score beside lm_head", "v_head", "v_head of a wrapper", "value_head.safetensors")
END = "<|im_end|>"
BIAS = 0.75


@dataclass
class Foreign:
    """A folder and what plain transformers makes of it; ``bias`` is ``None`` where its head has none."""

    folder: Path
    model: torch.nn.Module
    weight: torch.Tensor
    bias: torch.Tensor | None

    @torch.no_grad()
    def rewards(self, messages: Sequence[dict], responses: Sequence[str], images: Sequence = ()) -> list[float]:
        """One reward for each response, read at the end of its turn."""
        processor = stock_processor(self.folder)
        texts = []
        for response in responses:
            answer = {"role": "assistant", "content": [{"type": "text", "text": response}]}
            text = conversation_text(processor, [*messages, answer])
            texts.append(text[: text.rindex(END) + len(END)])
        if images:
            return [self._rewards(processor(text=[text], images=list(images), return_tensors="pt")).item() for text in texts]
        return self._rewards(processor.tokenizer(texts, padding=True, return_tensors="pt")).tolist()

    def _rewards(self, inputs) -> torch.Tensor:
        """From a right-padded batch; a classifier finds the last token of a row by itself."""
        if hasattr(self.model, "score"):
            return self.model(**inputs).logits[:, 0]
        states = self.model(**inputs, output_hidden_states=True).hidden_states[-1]
        last = states[torch.arange(len(states)), inputs["attention_mask"].sum(-1) - 1]
        return (last @ self.weight.T)[:, 0] + (0 if self.bias is None else self.bias)


def build(twin: Path, name: str, form: str, folder: Path) -> Foreign:
    """A folder in one of ``FORMS`` with the tokenizer of a twin."""
    shutil.copytree(twin, folder, ignore=shutil.ignore_patterns("model.safetensors", "config.json"))
    torch.manual_seed(5)
    model = stock_model(twin, name, is_classifier=form == "score").eval()
    model.save_pretrained(folder)
    if form == "score":
        return Foreign(folder, model, model.score.weight.detach(), None)
    weight, bias = torch.randn(1, 128) * 0.1, torch.tensor([BIAS])
    head = {"v_head.summary.weight": weight, "v_head.summary.bias": bias}
    file = folder / "model.safetensors"
    if form == "value_head.safetensors":
        save_file(head, folder / form)
    elif form == "score beside lm_head":
        save_file(load_file(file) | {"score.weight": weight}, file, metadata={"format": "pt"})
    elif form == "v_head":
        save_file(load_file(file) | head, file, metadata={"format": "pt"})
    else:
        wrapped = {f"pretrained_model.{key}": tensor.clone() for key, tensor in model.state_dict().items()}
        save_file(wrapped | head, file, metadata={"format": "pt"})
    return Foreign(folder, model, weight, None if form == "score beside lm_head" else bias)


def stock_model(twin: Path, name: str, *, is_classifier: bool, num_labels: int = 1) -> torch.nn.Module:
    """A stock model of the family with random weights; a classifier of a family that sees is made as transformers makes one."""
    config = AutoConfig.from_pretrained(twin, num_labels=num_labels)
    if not is_classifier:
        return (AutoModelForCausalLM if name in TEXT_ONLY else AutoModelForImageTextToText).from_config(config)
    if name in TEXT_ONLY:
        return AutoModelForSequenceClassification.from_config(config)
    parent = type(AutoModelForImageTextToText.from_config(config)).__mro__[1]
    return type("ForSequenceClassification", (GenericForSequenceClassification, parent), {})(config)
