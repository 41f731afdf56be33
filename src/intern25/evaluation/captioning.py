# SPDX-License-Identifier: MIT
"""BLEU and CIDEr-D of captions, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Split = Callable[[str], list[str]]
"""From a text to its words."""

_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|re|ve|ll|d|m))\b")
_TOKEN = re.compile(r"n't|'(?:s|re|ve|ll|d|m)\b|\w+(?:[-.]\w+)*|[^\w\s]")
_PUNCTUATION = frozenset(".?!,:;-_`'\"()[]{}…–—“”‘’。，、！？；：（）《》【】「」")
_CHARACTER = re.compile(
    r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptioningReport:
    """How near captions are to those that people wrote."""

    pictures: int
    """Pictures that were scored."""
    bleu1: float
    """BLEU over words, of the whole corpus; 0..1 like the other three."""
    bleu2: float
    """BLEU over one and two words."""
    bleu3: float
    """BLEU over one to three words."""
    bleu4: float
    """BLEU over one to four words."""
    cider: float
    """CIDEr-D, 0..10; papers print 100 times this number."""

    def as_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)


def score_captions(
    captions: Sequence[str], references: Sequence[Sequence[str]], *, split: Split | None = None
) -> CaptioningReport:
    """Score one caption a picture against the captions of people.

    Convention: as in the COCO evaluation, words that occur in the references of many pictures count less in
    CIDEr-D, so its values can be compared on the same pictures only. The official English tokeniser is a Java
    program; :func:`words` follows its rules for plain sentences.

    Args:
        captions: Caption of each picture.
        references: One or more true captions of each picture.
        split: :func:`words` by default; :func:`characters` or :func:`chinese_words` for Chinese.

    Returns:
        The report.

    Raises:
        ValueError: There are fewer than two pictures, of which CIDEr-D would be 0 whatever they say; the
            lengths differ; or a picture has no reference.
        ImportError: The evaluation extra is not installed.

    Example:
        >>> report = score_captions(["a dog runs fast", "two cats sleep here"],
        ...     [["a dog runs fast"], ["two cats sleep here"]])
        >>> round(report.bleu4, 6), round(report.cider, 6)
        (1.0, 10.0)

    Source:
        BLEU: Papineni et al., 2002. CIDEr-D: Vedantam et al., arXiv:1411.5726. Both computed by
        pycocoevalcap, the COCO evaluation.
    """
    _check(captions, references)
    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
    except ImportError as error:
        raise ImportError(
            "scoring captions needs the evaluation extra: pip install 'intern25[eval]'"
        ) from error
    split = split or words
    said = {i: [" ".join(split(caption))] for i, caption in enumerate(captions)}
    true = {i: [" ".join(split(text)) for text in texts] for i, texts in enumerate(references)}
    scorers: tuple[Any, Any] = (Bleu, Cider)
    bleu, _ = scorers[0](4).compute_score(true, said, verbose=0)
    cider, _ = scorers[1]().compute_score(true, said)
    return CaptioningReport(
        pictures=len(captions),
        bleu1=float(bleu[0]),
        bleu2=float(bleu[1]),
        bleu3=float(bleu[2]),
        bleu4=float(bleu[3]),
        cider=float(cider),
    )


def words(text: str) -> list[str]:
    """Split English into lower-case words without punctuation; "don't" is "do" and "n't".

    Example:
        >>> words("The dog's well-fed, isn't it?")
        ['the', 'dog', "'s", 'well-fed', 'is', "n't", 'it']
    """
    separated = _CLITIC.sub(r" \1", text.lower().replace("’", "'"))
    return [token for token in _TOKEN.findall(separated) if token not in _PUNCTUATION]


def characters(text: str) -> list[str]:
    """Split Chinese into its characters; letters and digits stay together, punctuation goes.

    Example:
        >>> characters("两只狗，NBA 2023。")
        ['两', '只', '狗', 'nba', '2023']
    """
    return _CHARACTER.findall(text.lower())


def chinese_words(text: str) -> list[str]:
    """Split Chinese into words by jieba's dictionary, without punctuation.

    Raises:
        ImportError: The evaluation extra is not installed.

    Example:
        >>> chinese_words("一只狗在草地上奔跑。")
        ['一只', '狗', '在', '草地', '上', '奔跑']
    """
    try:
        import rjieba
    except ImportError as error:
        raise ImportError("Chinese words need the evaluation extra: pip install 'intern25[eval]'") from error
    return [word for word in rjieba.cut(text.lower()) if any(letter.isalnum() for letter in word)]


def _check(captions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(captions) != len(references):
        raise ValueError(f"{len(captions)} captions but references of {len(references)} pictures")
    if len(captions) < 2:
        raise ValueError(f"CIDEr-D compares pictures and needs at least 2; here are {len(captions)}")
    for number, texts in enumerate(references):
        if isinstance(texts, str) or not texts:
            raise ValueError(f"references[{number}]={texts!r} must be a list of at least one caption")
