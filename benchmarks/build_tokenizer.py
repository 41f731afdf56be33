# SPDX-License-Identifier: MIT
"""Learn the package's Chinese and English tokenizer from a folder of data packs.

python benchmarks/build_tokenizer.py DATA
python benchmarks/build_tokenizer.py DATA --output other.json --vocabulary 32768

The texts are captions, questions and answers of training splits, class names and sentences about driving.
Every 20th Chinese sentence and the captions of the validation pictures are left out and measure the result.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from benchmarks.driving_texts import driving_texts  # noqa: E402
from intern25.data.trees import FileTree, open_tree  # noqa: E402
from intern25.generalist.config import INTERN25_TINY  # noqa: E402
from intern25.generalist.tokenizer import PACKAGED_NAME, Tokenizer, train_tokenizer  # noqa: E402

ASSETS = ROOT / "src" / "intern25" / "assets"
# Named one by one, so that a list added later does not change the tokens that weights were trained with.
CLASS_LISTS = (
    "ade20k", "bccd", "caltech101", "camvid", "cifar10", "cityscapes", "coco", "coco_stuff_164k",
    "crowdhuman", "dsb2018", "gtsrb", "imagenet_1k", "lvis", "mapillary", "nyu40", "objects365",
    "openimages", "pascal_context_59", "traffic_light", "traffic_lights_cn", "tt100k", "voc",
)  # fmt: skip
HELD_OUT_EVERY = 20
# Three special tokens and 256 bytes come before.
FIRST_MERGE = 259

# Occurrences given to every Chinese character of the texts, so that it becomes a token whatever its rank, and
# to the other frequent characters of GB 2312, which then take two tokens instead of three. Texts count once:
# with these numbers somewhat less than half of the vocabulary is Chinese.
TIMES_CHARACTER = 60
TIMES_OTHER_CHARACTER = 1
SPACE_BEFORE_MARK = re.compile(r" (?=[.,;:!?]|'s\b|n't\b)")
SENTENCE_MARKS = "，。？！、：；（）“”《》"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="folder with flickr8k_1k.zip, coco_mini491.zip and the others"
    )
    parser.add_argument("--output", type=Path, default=ASSETS / PACKAGED_NAME)
    parser.add_argument("--vocabulary", type=int, default=INTERN25_TINY.text.vocabulary)
    arguments = parser.parse_args()
    tokenizer = build(arguments.data, arguments.vocabulary)
    tokenizer.save(arguments.output)
    print(json.dumps(statistics(tokenizer, arguments.data), indent=2))


def build(data: Path, vocabulary_size: int) -> Tokenizer:
    """Learn the tokenizer from the data packs in a folder."""
    english = [*english_texts(data), *class_names("en"), *sign_names(data, "en")]
    chinese = [*chinese_sentences(data, held_out=False), *class_names("zh"), *sign_names(data, "zh")]
    driving = list(driving_texts())
    english.extend(sentence for sentence, _ in driving)
    chinese.extend(sentence for _, sentence in driving)
    return train_tokenizer([*english, *chinese, *_characters(chinese)], vocabulary_size)


def _characters(chinese: list[str]) -> Iterator[str]:
    """Yield the characters, each as many times as it is to count, apart from each other."""
    ours = {c for c in "".join((*chinese, SENTENCE_MARKS)) if is_chinese(c) or c in SENTENCE_MARKS}
    others = set(frequent_characters()) - ours
    yield from (" ".join(c * TIMES_CHARACTER) for c in sorted(ours))
    yield from (" ".join(c * TIMES_OTHER_CHARACTER) for c in sorted(others))


def english_texts(data: Path) -> Iterator[str]:
    """Yield captions, questions and answers of training splits."""
    flickr = open_tree(data / "flickr8k_1k.zip")
    captions = _lines(flickr, "captions_other_images.txt")
    captions += (
        c for row in _json(flickr, "captions.json") if row["split"] == "train" for c in row["captions"]
    )
    # Their marks stand apart from the words. Half is learned as it is, half as people write.
    yield from captions[::2]
    yield from (SPACE_BEFORE_MARK.sub("", caption) for caption in captions[1::2])
    coco = open_tree(data / "coco_mini491.zip")
    yield from (row["caption"].strip() for row in _json(coco, "captions_train.json")["annotations"])
    vqa, daquar = open_tree(data / "vqa.zip"), open_tree(data / "daquar.zip")
    # The synthetic questions repeat themselves; once is enough.
    yield from sorted({text for row in _json(vqa, "easy_vqa/train/questions.json") for text in row[:2]})
    for split in ("dev", "hidden"):
        yield from (json.loads(line)["sentence"] for line in _lines(vqa, f"nlvr/{split}.jsonl"))
    for question, answer, _ in _json(daquar, "questions_train.json"):
        yield from (question, answer.replace("_", " "))


def chinese_sentences(data: Path, *, held_out: bool) -> Iterator[str]:
    """Yield sentences of COCO-CN: those that are learned from, or the ones that are left out."""
    tree = open_tree(data / "coco_cn_ext.zip")
    for number, line in enumerate(_lines(tree, "captions_zh.tsv")[1:]):
        if (number % HELD_OUT_EVERY == 0) == held_out:
            yield line.split("\t", 1)[1]


def class_names(language: str) -> Iterator[str]:
    """Yield the class names of the package, in ``"en"`` or ``"zh"``."""
    for name in CLASS_LISTS:
        lines = (ASSETS / "classes" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        yield from _column(lines, language)


def sign_names(data: Path, language: str) -> Iterator[str]:
    """Yield the names of Chinese traffic signs, in ``"en"`` or ``"zh"``."""
    return _column(_lines(open_tree(data / "tt100k_signs.zip"), "classes.tsv"), language)


def frequent_characters() -> Iterator[str]:
    """Yield the 3755 characters of level 1 of GB 2312, the frequent ones."""
    for row in range(16, 56):
        for cell in range(1, 95):
            try:
                yield bytes((0xA0 + row, 0xA0 + cell)).decode("gb2312")
            except UnicodeDecodeError:  # the last cells of row 55 are empty
                continue


def is_chinese(character: str) -> bool:
    """Whether a character is a unified ideograph of the basic block."""
    return "\u4e00" <= character <= "\u9fff"


def statistics(tokenizer: Tokenizer, data: Path) -> dict[str, Any]:
    """Length of left-out texts in tokens, and what the vocabulary is made of."""
    chinese = list(chinese_sentences(data, held_out=True))
    rows = _json(open_tree(data / "flickr8k_1k.zip"), "captions.json")
    english = [caption for row in rows if row["split"] == "val" for caption in row["captions"]]
    words = sum(sum(map(str.isalpha, caption.split())) for caption in english)
    texts = Counter("".join(chinese_sentences(data, held_out=False)))
    characters = sorted(filter(is_chinese, texts))
    merges = [tokenizer.decode([number]) for number in range(FIRST_MERGE, tokenizer.vocabulary_size)]
    return {
        "tokens": tokenizer.vocabulary_size,
        "chinese_share_of_vocabulary": round(
            sum(map(_serves_chinese, merges)) / tokenizer.vocabulary_size, 3
        ),
        "tokens_per_chinese_character": round(_tokens(tokenizer, chinese) / sum(map(len, chinese)), 3),
        "tokens_per_english_word": round(_tokens(tokenizer, english, without_marks=True) / words, 3),
        "chinese_characters_of_the_texts": len(characters),
        "of_them_single_tokens": sum(
            len(tokenizer.encode([c], max_length=9).ids[0]) == 1 for c in characters
        ),
        "gb2312_level_1_single_tokens": sum(
            len(tokenizer.encode([c], max_length=9).ids[0]) == 1 for c in frequent_characters()
        ),
        "longest_text": max(
            len(tokenizer.encode([text], max_length=999).ids[0]) for text in chinese + english
        ),
    }


def _serves_chinese(piece: str) -> bool:
    """Whether a merge writes Chinese; part of a character, which decodes to a replacement, does too."""
    return any(is_chinese(character) or character in SENTENCE_MARKS + "\ufffd" for character in piece)


def _tokens(tokenizer: Tokenizer, texts: Iterable[str], *, without_marks: bool = False) -> int:
    if without_marks:
        texts = [" ".join(filter(str.isalpha, text.split())) for text in texts]
    return int(tokenizer.encode(list(texts), max_length=10_000).present.sum())


def _lines(tree: FileTree, name: str) -> list[str]:
    return tree.text(_full(tree, name)).splitlines()


def _json(tree: FileTree, name: str) -> Any:
    return json.loads(tree.text(_full(tree, name)))


def _full(tree: FileTree, name: str) -> str:
    """Name of a file in a pack, which has a folder around everything."""
    found = [member for member in tree.names if member == name or member.endswith("/" + name)]
    if not found:
        raise SystemExit(f"{tree.where} has no {name}")
    return found[0]


def _column(lines: list[str], name: str) -> Iterator[str]:
    column = lines[0].split("\t").index(name)
    return (line.split("\t")[column] for line in lines[1:] if line)


if __name__ == "__main__":
    main()
