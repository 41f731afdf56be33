# SPDX-License-Identifier: MIT
"""Chinese and English text as tokens and back: byte-level BPE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from torch import Tensor

from intern25.data.writing import write_whole

PAD, SPE, END = "<pad>", "<spe>", "<end>"
PACKAGED_NAME = "tokenizer_zh_en.json"

_SPECIALS = (PAD, SPE, END)
_BYTES = 256
# Pieces that merges never cross: an English word takes the space before it, Chinese has no spaces to take.
_PIECES = "|".join(
    (
        r"'(?i:s|t|re|ve|m|ll|d)\b",
        r"\p{Han}+",
        r" ?(?:(?!\p{Han})[\p{L}\p{M}])+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{M}\p{N}]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_CHARACTERS = r"[\s\S]"


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Token numbers of several texts, padded at the end to the longest."""

    ids: Tensor
    """``(N, L)`` int64."""
    present: Tensor
    """``(N, L)`` bool, False where a place is padding."""

    def to(self, device: torch.device | str) -> TokenBatch:
        """Return the same texts on another device."""
        return TokenBatch(self.ids.to(device), self.present.to(device))


class Tokenizer:
    """Byte-level BPE over NFC text: every text has tokens, and decoding gives it back.

    Convention: case is kept and every digit is a token of its own. What a text says is never a special
    token, not even the letters ``<end>``.

    Args:
        definition: JSON of the ``tokenizers`` library, with ``<pad>``, ``<spe>`` and ``<end>`` as 0, 1 and 2.

    Raises:
        ValueError: It is no such JSON.

    Example:
        >>> tokenizer = Tokenizer.packaged()
        >>> batch = tokenizer.encode(["一只狗", "A dog runs."], max_length=16, end=True)
        >>> [tokenizer.decode(ids) for ids in batch.ids]
        ['一只狗', 'A dog runs.']
    """

    pad_id = 0
    spe_id = 1
    end_id = 2

    def __init__(self, definition: str) -> None:
        try:
            self._words = Backend.from_str(definition)
        except Exception as error:  # the library raises plain Exception
            raise ValueError(f"not a tokenizer definition: {error}") from error
        numbers = [self._words.token_to_id(name) for name in _SPECIALS]
        if numbers != [self.pad_id, self.spe_id, self.end_id]:
            raise ValueError(f"{', '.join(_SPECIALS)} must be the tokens 0, 1, 2; here they are {numbers}")
        self._characters = Backend.from_str(definition)
        self._characters.pre_tokenizer = _split(_CHARACTERS)
        for backend in (self._words, self._characters):
            # Without this, "<end>" inside a text would become the special token.
            backend.encode_special_tokens = True
        self.vocabulary_size: int = self._words.get_vocab_size()

    @classmethod
    def packaged(cls) -> Tokenizer:
        """Return the tokenizer of the package, Chinese and English, 6144 tokens."""
        return _packaged()

    @classmethod
    def from_file(cls, path: str | Path) -> Tokenizer:
        """Read what :meth:`save` has written.

        Raises:
            ValueError: The file is missing or no tokenizer definition.
        """
        try:
            return cls(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"cannot read the tokenizer {path}: {error}") from error

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[str]]:
        return Tokenizer, (self.to_json(),)

    def to_json(self) -> str:
        """Return the definition."""
        return str(self._words.to_str())

    def save(self, path: str | Path) -> None:
        """Write the definition as JSON, whole or not at all."""
        write_whole(Path(path), lambda temporary: temporary.write_text(self.to_json() + "\n", "utf-8"))

    def encode(
        self, texts: Sequence[str], *, max_length: int, characters: bool = False, end: bool = False
    ) -> TokenBatch:
        """Tokens of texts.

        Args:
            texts: ``N`` texts; an empty one has no token.
            max_length: Most tokens of a text, ``<end>`` included; longer texts are cut.
            characters: Encode every character on its own, as for reading letter by letter.
            end: Close every text with ``<end>``.

        Returns:
            ``(N, L)`` tokens, ``1 <= L <= max_length``.

        Raises:
            TypeError: ``texts`` is not a sequence of str.
            ValueError: There is no text, or one has half a surrogate pair.
        """
        check_texts(texts, max_length)
        backend = self._characters if characters else self._words
        room = max_length - end
        closing = [self.end_id] if end else []
        # One at a time: the library's own threads complain when a data loader forks after they ran.
        rows = [backend.encode(text).ids[:room] + closing for text in texts]
        return padded_batch(rows, self.pad_id)

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Text of one row of tokens; special tokens are left out, broken bytes become ``U+FFFD``.

        Raises:
            ValueError: A number is outside the vocabulary.
        """
        numbers = [int(number) for number in (ids.tolist() if isinstance(ids, Tensor) else ids)]
        if numbers and not 0 <= min(numbers) <= max(numbers) < self.vocabulary_size:
            raise ValueError(
                f"tokens must lie in 0 .. {self.vocabulary_size - 1}; "
                f"these lie in {min(numbers)} .. {max(numbers)}"
            )
        return str(self._words.decode(numbers, skip_special_tokens=True))


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Learn the merges of byte-level BPE; equal texts in equal order give equal tokenizers.

    Args:
        texts: Any number of texts; a text that comes twice counts twice.
        vocabulary_size: Tokens, with three special ones and 256 bytes; fewer where the texts have no more
            pairs to merge.

    Raises:
        ValueError: ``vocabulary_size`` has no room for the bytes.
    """
    if vocabulary_size < _BYTES + len(_SPECIALS):
        raise ValueError(
            f"vocabulary_size={vocabulary_size} must be {_BYTES + len(_SPECIALS)} or more: "
            f"{len(_SPECIALS)} special tokens and {_BYTES} bytes"
        )
    backend = Backend(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = _split(_PIECES)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(_SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return Tokenizer(backend.to_str())


def check_texts(texts: Sequence[str], max_length: int) -> None:
    """Refuse what is no list of texts.

    Raises:
        TypeError: ``texts`` or one of them has another type.
        ValueError: There is no text, one has half a surrogate pair, or ``max_length`` is below 1.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise TypeError(f"texts must be a list of str, not {type(texts).__name__}: {_shown(texts)}")
    if not texts:
        raise ValueError("texts is empty; give at least one str")
    if max_length < 1:
        raise ValueError(f"max_length={max_length} must be 1 or more")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}] must be a str, not {type(text).__name__}: {_shown(text)}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"texts[{index}] has half a surrogate pair at {error.start}: {_shown(text)}; "
                "replace it by text.encode('utf-8', 'replace').decode()"
            ) from error


def padded_batch(rows: Sequence[Sequence[int]], pad_id: int) -> TokenBatch:
    """Rows of tokens of different lengths as one batch of at least one place."""
    length = max(1, *map(len, rows))
    ids = torch.tensor([[*row, *[pad_id] * (length - len(row))] for row in rows], dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows])
    return TokenBatch(ids, torch.arange(length) < lengths[:, None])


@cache
def _packaged() -> Tokenizer:
    return Tokenizer((files("intern25") / "assets" / PACKAGED_NAME).read_text(encoding="utf-8"))


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    pieces = pre_tokenizers.Split(Regex(pattern), "isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pieces, to_bytes])


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
