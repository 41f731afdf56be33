# SPDX-License-Identifier: MIT
"""The tokenizer of a Hugging Face language model with the interface of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from intern25.generalist.tokenizer import TokenBatch, check_texts, padded_batch


class LanguageTokenizer:
    """Tokens of a language model for texts.

    Convention: no token is added to the model's vocabulary. ``end_id`` is its end of text or separator,
    ``pad_id`` its padding or else ``end_id``, ``spe_id`` its mask, class or start token or else ``end_id``.
    What a text says is never a special token.

    Args:
        name_or_path: Folder or hub repository of the model.

    Raises:
        ImportError: transformers is missing.
        ValueError: No tokenizer is there, or it has no token that ends a text.
    """

    def __init__(self, name_or_path: str) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise ImportError("language models need the hf extra: pip install 'intern25[hf]'") from error
        try:
            self._backend: Any = AutoTokenizer.from_pretrained(name_or_path)
        except (OSError, ValueError) as error:
            raise ValueError(f"no tokenizer of a language model at {name_or_path}: {error}") from error
        self.end_id = self._first("eos", "sep")
        if self.end_id < 0:
            raise ValueError(f"the tokenizer of {name_or_path} has no end-of-text and no separator token")
        self.pad_id = self._first("pad", "eos", "sep")
        self.spe_id = self._first("mask", "cls", "bos", "eos", "sep")
        self.vocabulary_size = len(self._backend)

    def _first(self, *names: str) -> int:
        """Number of the first special token that there is, or -1."""
        numbers = (getattr(self._backend, f"{name}_token_id", None) for name in names)
        return next((int(number) for number in numbers if number is not None), -1)

    def encode(
        self, texts: Sequence[str], *, max_length: int, characters: bool = False, end: bool = False
    ) -> TokenBatch:
        """Tokens of texts, as :meth:`intern25.generalist.tokenizer.Tokenizer.encode` gives them.

        With ``characters``, tokenizers that mark word starts mark one at every character.

        Raises:
            TypeError: ``texts`` is not a sequence of str.
            ValueError: There is no text, or one has half a surrogate pair.
        """
        check_texts(texts, max_length)
        rows = [self._characters(text) for text in texts] if characters else self._words(list(texts))
        room = max_length - end
        closing = [self.end_id] if end else []
        return padded_batch([row[:room] + closing for row in rows], self.pad_id)

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Text of one row of tokens; special tokens are left out.

        Raises:
            ValueError: A number is outside the vocabulary.
        """
        numbers = [int(number) for number in (ids.tolist() if isinstance(ids, Tensor) else ids)]
        if numbers and not 0 <= min(numbers) <= max(numbers) < self.vocabulary_size:
            raise ValueError(
                f"tokens must lie in 0 .. {self.vocabulary_size - 1}; "
                f"these lie in {min(numbers)} .. {max(numbers)}"
            )
        return str(
            self._backend.decode(numbers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def _words(self, texts: list[str]) -> list[list[int]]:
        encoded = self._backend(texts, add_special_tokens=False, split_special_tokens=True)
        return [list(map(int, row)) for row in encoded["input_ids"]]

    def _characters(self, text: str) -> list[int]:
        return [token for row in self._words(list(text)) for token in row] if text else []
