"""Run by ``test_export_in_plain_transformers`` in a process of its own: loads exported folders as a user without basereward does.

Arguments: a JSON file with {"folders": {name: path}, "conversations": [{"messages", "images"}]}; the measurements go to standard
output as one line of JSON. Nothing here uses basereward: text goes through the folder's chat template as one string, pictures
through transformers' own processor.
"""

import contextlib
import io
import json
import os
import sys


class NoBasereward:
    """An import hook that makes ``import basereward`` fail."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "basereward":
            raise ImportError("basereward is not installed here")


sys.meta_path.insert(0, NoBasereward())

import torch  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import AutoModelForSequenceClassification  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from stock_processors import conversation_text, stock_processor  # noqa: E402


def load(folder, dtype=torch.float32):
    return AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True, dtype=dtype).eval()


def encode(folder, conversations, side="right", newline=True):
    """The batch that the processor gives, without ``mm_token_type_ids``."""
    processor = stock_processor(folder, side=side)
    texts = [conversation_text(processor, conversation["messages"]) for conversation in conversations]
    assert all(text.endswith("<|im_end|>\n") for text in texts), texts
    texts = [text if newline else text.removesuffix("\n") for text in texts]
    pictures = [Image.open(path) for conversation in conversations for path in conversation["images"]]
    if pictures:
        batch = dict(processor(text=texts, images=pictures, padding=True, padding_side=side, return_tensors="pt"))
        return {key: value for key, value in batch.items() if key != "mm_token_type_ids"}
    return dict(processor.tokenizer(texts, padding=True, return_tensors="pt"))


@torch.no_grad()
def rewards(model, batch):
    logits = model(**batch).logits
    assert logits.dtype == torch.float32 and logits.shape == (len(batch["input_ids"]), 1)
    return logits[:, 0].tolist()


def refusal(model, batch):
    try:
        rewards(model, batch)
    except ValueError as error:
        return str(error)
    return "accepted"


def measure(folder, conversations):
    """Every conversation's reward, in each of the ways a user may ask for it."""
    model = load(folder)
    right = encode(folder, conversations)
    texts = [c for c in conversations if not c["images"]]
    kinds = (right["input_ids"] == getattr(model.config, "image_token_id", -1)).int()
    is_3d = "image_grid_thw" in right
    return {
        "class": type(model).__name__,
        "head": type(model.score).__name__,
        "pooling": type(model.pooling).__name__,
        "right": rewards(model, right),
        "left": rewards(model, encode(folder, conversations, side="left")),
        "alone": [rewards(model, encode(folder, [c]))[0] for c in conversations],
        "no newline": rewards(model, encode(folder, conversations, newline=False)),
        "with token types": rewards(model, right | ({"mm_token_type_ids": kinds} if is_3d else {})),
        "no mask, left": rewards(model, {k: v for k, v in encode(folder, texts, side="left").items() if k != "attention_mask"}),
        "bf16": rewards(load(folder, torch.bfloat16), right),
        "bf16 dtypes": sorted(
            {str(p.dtype) for n, p in load(folder, torch.bfloat16).named_parameters() if not n.startswith("model.")}
        ),
    }


def refusals(folder, conversations):
    """What the model says to wrong batches."""
    model = load(folder)
    right = encode(folder, conversations, newline=False)
    lengths = right["attention_mask"].sum(1)
    cut = {key: right[key].clone() for key in ("input_ids", "attention_mask")}
    cut["attention_mask"][0, lengths[0] - 1] = 0
    answers = {
        "cut response": refusal(model, right | cut),
        "no opening": refusal(model, {"input_ids": torch.tensor([[20, 21, model.config.reward_token_id]])}),
        "no end at all": refusal(model, {"input_ids": torch.tensor([[20, 21, 22]])}),
        "no pixels": refusal(model, {key: right[key] for key in cut}),
        "labels": refusal(model, right | {"labels": lengths}),
    }
    merged = right["input_ids"][:1].clone()
    # What a tokenizer that joins line breaks makes of one at the beginning of a response.
    merged[0, (merged[0] == model.config.reward_opening_ids[0]).nonzero()[-1] + len(model.config.reward_opening_ids) - 1] = 20
    answers["a line break first"] = refusal(model, {"input_ids": merged, "attention_mask": right["attention_mask"][:1]})
    model.config.reward_padding_id = model.config.reward_token_id
    answers["padding that looks like the end"] = refusal(model, {"input_ids": right["input_ids"]})
    return answers


def think(folder):
    """What a model of a family whose template writes an empty block of thoughts says to one that is not empty."""
    model, processor = load(folder), stock_processor(folder)
    conversation = [{"role": r, "content": [{"type": "text", "text": t}]} for r, t in (("user", "Why?"), ("assistant", "So."))]
    text = conversation_text(processor, conversation)
    texts = [text, text.replace("<think>\n", "<think>\nIt is so.")]
    assert texts[0] != texts[1]
    return refusal(model, dict(processor.tokenizer(texts, padding=True, return_tensors="pt")))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def card(folder):
    """The output of the first example of the model card, run where a user would run it."""
    code = read(os.path.join(folder, "README.md")).split("```python\n")[1].split("```")[0]
    os.chdir(os.path.dirname(folder))
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})
    return json.loads(output.getvalue())


def main():
    given = json.loads(read(sys.argv[1]))
    folders, conversations = given["folders"], given["conversations"]
    texts = [conversation for conversation in conversations if not conversation["images"]]
    # All folders in one process: the classes of two exports must not be taken for each other.
    found = {name: measure(folder, texts if name in given["text only"] else conversations) for name, folder in folders.items()}
    first = next(iter(folders.values()))
    found["refusals"] = refusals(folders[given["reads whole responses"]], conversations)
    found["refusals"]["thoughts"] = think(folders[given["writes thoughts"]])
    found["card"] = card(first)
    found["basereward imported"] = any(name.partition(".")[0] == "basereward" for name in sys.modules)
    print(json.dumps(found))


main()
