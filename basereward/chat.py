"""Messages -> the prompt's text with image markers, and what closes a response: the chat template's side of encoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from basereward.errors import CheckpointError
from basereward.records import Comparison

END_OF_TURN = "<|im_end|>"
NO_TOKEN = -1  # an id that no tokenizer gives
# Stands for the response while a prompt is rendered; no whitespace, which templates may strip.
RESPONSE = "\N{INVISIBLE SEPARATOR}response\N{INVISIBLE SEPARATOR}"


class ChatFormat:
    """Renders prompts with a tokenizer's own chat template and finds the ids that a reward model needs.

    Args:
        tokenizer: of the checkpoint.
        image_token: what the template writes for a picture; ``None`` for a backbone that reads text only.
        image_markup: what replaces it in the prompt, with one such token in it.

    Raises:
        CheckpointError: when the tokenizer has no chat template or lacks the special tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, image_token: str | None, image_markup: str | None = None):
        if not tokenizer.chat_template:
            raise CheckpointError(
                f"the tokenizer {tokenizer.name_or_path!r} has no chat template; expected an instruct model's tokenizer, "
                "such as the one of Qwen2.5-VL-Instruct. Use that tokenizer, or add chat_template.jinja to its folder."
            )
        self.tokenizer = tokenizer
        self.image_token, self.image_markup = image_token, image_markup
        self.image_id = NO_TOKEN if image_token is None else self._special(image_token)
        self.end_id = self._special(END_OF_TURN)
        self._control = tuple(sorted(tokenizer.all_special_tokens + list(tokenizer.get_added_vocab()), key=len, reverse=True))

    def _special(self, token: str) -> int:
        vocabulary = self.tokenizer.get_added_vocab()
        if token not in vocabulary:
            raise CheckpointError(
                f"the tokenizer {self.tokenizer.name_or_path!r} has no special token {token}; expected the tokenizer of the backbone, "
                f"found special tokens {sorted(vocabulary)[:12]}"
            )
        return vocabulary[token]

    def prefix_text(self, messages: Sequence[dict]) -> str:
        """The prompt up to where the response begins, one image marker for each image.

        It is cut out of a whole conversation, so that a response stands where the template would write it: Qwen3's puts an
        empty block of thoughts before it, which the opening of a turn to generate has not.
        """
        safe = [{"role": m["role"], "content": [self._safe_part(part) for part in m["content"]]} for m in messages]
        if not any(part["type"] == "image" for m in safe for part in m["content"]):
            # Text-only templates take strings alone; multimodal ones take both.
            safe = [{"role": m["role"], "content": "".join(part["text"] for part in m["content"])} for m in safe]
        conversation = [*safe, {"role": "assistant", "content": RESPONSE}]
        prefix, found, rest = self.tokenizer.apply_chat_template(conversation, tokenize=False).rpartition(RESPONSE)
        if not found or not rest.startswith(END_OF_TURN):
            raise CheckpointError(
                f"the chat template of {self.tokenizer.name_or_path!r} must write a response as it is and close it with "
                f"{END_OF_TURN}; found {(found + rest)[:80]!r}. Use the template of an instruct model of the family"
            )
        return prefix.replace(self.image_token, self.image_markup) if self.image_token else prefix

    def prefix_ids(self, messages: Sequence[dict]) -> list[int]:
        """Token ids of the prefix; each image is still a single marker token."""
        return self._token_ids([self.prefix_text(messages)])[0]

    def ids_of(self, comparisons: Sequence[Comparison]) -> Iterator[list[list[int]]]:
        """Token ids of the prefix (an image is a single marker token) and of each response of every comparison.

        All texts go to the tokenizer at once, which is faster than one after another.
        """
        ids = iter(self._token_ids(self._texts(comparisons)))
        for item in comparisons:
            yield [next(ids), *([*next(ids), self.end_id] for _ in item.responses)]

    def counts_of(self, comparisons: Sequence[Comparison]) -> Iterator[list[int]]:
        """The lengths of `ids_of`, without making lists of the ids where the tokenizer can leave that out."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            yield from ([len(ids) for ids in item] for item in self.ids_of(comparisons))
            return
        backend.no_truncation()
        backend.no_padding()
        counts = map(len, backend.encode_batch_fast(self._texts(comparisons), add_special_tokens=False))
        for item in comparisons:
            yield [next(counts), *(next(counts) + 1 for _ in item.responses)]

    def _texts(self, comparisons: Sequence[Comparison]) -> list[str]:
        return [
            text
            for item in comparisons
            for text in (self.prefix_text(item.messages), *(self._response_text(response) for response in item.responses))
        ]

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        # How long a text may be is checked where it is known; the tokenizer's own warning knows neither the model nor the row.
        return self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]

    def _response_text(self, response: str) -> str:
        return self.defuse(response.removesuffix(END_OF_TURN))

    def opening_ids(self) -> list[int]:
        """Token ids between the last turn before a response and the response: what every prefix ends with.

        Cut out of a whole conversation like the prefix itself, so that Qwen3's empty block of thoughts is among them.

        Raises:
            CheckpointError: the first of them is no special token, by which the opening could be found in a row.
        """
        question = [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
        before = self.tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
        prefix = self.prefix_text(question)
        opening = prefix.removeprefix(before)
        ids = self.tokenizer(opening, add_special_tokens=False)["input_ids"]
        if not prefix.startswith(before) or not ids or self.tokenizer.convert_ids_to_tokens(ids[0]) not in self._control:
            raise CheckpointError(
                f"the chat template of {self.tokenizer.name_or_path!r} opens the assistant's turn with {opening!r}; "
                "expected a special token first, such as <|im_start|>, by which a reader of the row finds where the response begins"
            )
        return ids

    def response_ids(self, response: str) -> list[int]:
        """Token ids of a response and the end-of-turn token that closes it, where the reward is read. No newline follows."""
        return [*self._token_ids([self._response_text(response)])[0], self.end_id]

    def defuse(self, text: str) -> str:
        """Breaks control tokens inside a user's text (``<|im_end|>`` becomes ``<| im_end|>``), so that it cannot end a turn,
        open a new one, or claim an image.
        """
        if "<" not in text:
            return text
        for token in self._control:
            if token in text:
                text = text.replace(token, f"{token[:2]} {token[2:]}")
        return text

    def _safe_part(self, part: dict) -> dict:
        return {"type": "text", "text": self.defuse(part["text"])} if part["type"] == "text" else {"type": "image"}
