"""Tokenizer: round trips, characters, special tokens, bad input, and what the packaged one reaches."""

from __future__ import annotations

import pickle
import unicodedata
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from benchmarks.build_tokenizer import build, statistics
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intern25.generalist.config import INTERN25_TINY
from intern25.generalist.tokenizer import Tokenizer, train_tokenizer

# Composition of characters that Python does not know yet is the tokenizer library's word against nobody's.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=40)
MIXED = st.text(
    st.sampled_from("一只狗在0123４٣ aAé́'s<end>pd|\n\t\r\u3000。，👩\u200d👧\x00\u00a0한"), max_size=40
)


@pytest.fixture(scope="module")
def packaged() -> Tokenizer:
    return Tokenizer.packaged()


def ids_of(tokenizer: Tokenizer, text: str, *, characters: bool = False) -> list[int]:
    batch = tokenizer.encode([text], max_length=10_000, characters=characters)
    return batch.ids[0][batch.present[0]].tolist()


@settings(deadline=None, max_examples=300)
@given(text=TEXT | MIXED, characters=st.booleans())
@example(text="<end>", characters=False)
@example(text="<pad><spe><end> <end>", characters=True)
@example(text="e\u0301", characters=True)
def test_decoding_gives_the_text_back(text: str, characters: bool) -> None:
    tokenizer = Tokenizer.packaged()
    ids = ids_of(tokenizer, text, characters=characters)
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)
    assert not set(ids) & {tokenizer.pad_id, tokenizer.spe_id, tokenizer.end_id}


@settings(deadline=None)
@given(text=TEXT | MIXED)
def test_characters_are_encoded_each_on_its_own(text: str) -> None:
    tokenizer = Tokenizer.packaged()
    text = unicodedata.normalize("NFC", text)
    one_by_one = [token for character in text for token in ids_of(tokenizer, character, characters=True)]
    assert ids_of(tokenizer, text, characters=True) == one_by_one


@settings(deadline=None)
@given(texts=st.lists(MIXED, min_size=1, max_size=5), max_length=st.integers(1, 12), end=st.booleans())
def test_a_batch_is_its_texts(texts: list[str], max_length: int, end: bool) -> None:
    tokenizer = Tokenizer.packaged()
    batch = tokenizer.encode(texts, max_length=max_length, end=end)
    longest = 1
    for text, ids, present in zip(texts, batch.ids.tolist(), batch.present.tolist(), strict=True):
        expected = ids_of(tokenizer, text)[: max_length - 1 if end else max_length] + [2] * end
        assert [token for token, here in zip(ids, present, strict=True) if here] == expected
        assert ids == expected + [0] * (len(ids) - len(expected))
        longest = max(longest, len(expected))
    assert batch.ids.shape == batch.present.shape == (len(texts), longest)
    assert (batch.ids.dtype, batch.present.dtype) == (torch.int64, torch.bool)


def test_every_token_decodes_and_only_special_ones_to_nothing(packaged: Tokenizer) -> None:
    decoded = [packaged.decode([number]) for number in range(packaged.vocabulary_size)]
    assert [number for number, text in enumerate(decoded) if not text] == [0, 1, 2]


def test_broken_bytes_become_replacement_characters(packaged: Tokenizer) -> None:
    ids = ids_of(packaged, "𠮷", characters=True)
    assert len(ids) > 1
    assert packaged.decode([2, *ids[:-1], 1, *ids_of(packaged, "好"), 0]).strip("\ufffd") == "好"


def test_the_order_of_ids_is_the_one_that_weights_are_trained_with(packaged: Tokenizer) -> None:
    assert (packaged.pad_id, packaged.spe_id, packaged.end_id) == (0, 1, 2)
    assert packaged.vocabulary_size == INTERN25_TINY.text.vocabulary
    assert packaged.encode(["一只狗", " A dog"], max_length=9, end=True).ids.tolist() == [
        [958, 1321, 2],
        [1188, 298, 2],
    ]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a dog runs", ["a", " dog", " runs"]),
        ("A dog's 25 Dogs", ["A", " dog", "'s", " ", "2", "5", " D", "ogs"]),
        ("限速60公里", ["限速", "6", "0", "公", "里"]),
        ("狗dog狗", ["狗", "dog", "狗"]),
        ("狗。dog, 狗", ["狗", "。", "dog", ",", " ", "狗"]),
    ],
)
def test_pieces(packaged: Tokenizer, text: str, pieces: Sequence[str]) -> None:
    assert [packaged.decode([number]) for number in ids_of(packaged, text)] == pieces


def test_size_of_the_packaged_file() -> None:
    assert len((files("intern25") / "assets" / "tokenizer_zh_en.json").read_bytes()) < 400_000


def test_training_is_what_bpe_says() -> None:
    # Pairs: lo 7, ow 5, we 3, ot 2; after the merge of lo: low 5, we 3, lot 2.
    tokenizer = train_tokenizer(["low"] * 5 + ["lot"] * 2 + ["we"] * 3, 259 + 3)
    merges = [tokenizer.decode([number]) for number in range(259, 262)]
    assert merges == ["lo", "low", "we"]
    assert tokenizer.vocabulary_size == 262
    assert [tokenizer.decode([number]) for number in ids_of(tokenizer, "lowlot")] == ["low", "lo", "t"]


def test_training_never_makes_a_special_token() -> None:
    tokenizer = train_tokenizer(["<end> <end><end> x<pad>"] * 50, 400)
    assert not set(ids_of(tokenizer, "<end> <pad>x<end>")) & {0, 1, 2}


def test_a_copy_in_another_process_is_the_same(packaged: Tokenizer, tmp_path: Path) -> None:
    packaged.save(tmp_path / "tokenizer.json")
    read = Tokenizer.from_file(tmp_path / "tokenizer.json")
    for copy in (pickle.loads(pickle.dumps(packaged)), read):
        for characters in (False, True):
            text = "A <end> of 一只狗 25"
            assert ids_of(copy, text, characters=characters) == ids_of(packaged, text, characters=characters)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one text", TypeError, r"texts must be a list of str, not str"),
        (b"bytes", TypeError, r"not bytes"),
        (None, TypeError, r"not NoneType"),
        ([], ValueError, r"texts is empty"),
        (["a", None], TypeError, r"texts\[1\] must be a str, not NoneType"),
        (["a", b"b"], TypeError, r"texts\[1\] must be a str, not bytes"),
        (["ok", "half \ud83d"], ValueError, r"texts\[1\] has half a surrogate pair at 5"),
    ],
)
def test_what_is_no_text_is_refused(
    packaged: Tokenizer, texts: Sequence[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        packaged.encode(texts, max_length=8)


def test_other_mistakes_are_refused(packaged: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_length=0"):
        packaged.encode(["a"], max_length=0)
    with pytest.raises(ValueError, match=r"0 \.\. 6143"):
        packaged.decode([3, 6144])
    with pytest.raises(ValueError, match=r"-1 \.\. -1"):
        packaged.decode(torch.tensor([-1]))
    with pytest.raises(ValueError, match=r"vocabulary_size=200 must be 259 or more"):
        train_tokenizer(["a"], 200)
    with pytest.raises(ValueError, match=r"cannot read the tokenizer .*absent"):
        Tokenizer.from_file(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text('{"version": "1.0"')
    with pytest.raises(ValueError, match=r"broken\.json: not a tokenizer definition"):
        Tokenizer.from_file(tmp_path / "broken.json")
    (tmp_path / "other.json").write_text(packaged.to_json().replace("<spe>", "<cls>"))
    with pytest.raises(ValueError, match=r"must be the tokens 0, 1, 2"):
        Tokenizer.from_file(tmp_path / "other.json")


@pytest.mark.shared
def test_how_long_texts_become(packaged: Tokenizer, shared_root: Path) -> None:
    reached = statistics(packaged, shared_root / "data")
    assert reached["tokens_per_chinese_character"] < 0.65
    assert reached["tokens_per_english_word"] < 1.15
    assert reached["of_them_single_tokens"] == reached["chinese_characters_of_the_texts"]
    assert reached["longest_text"] < INTERN25_TINY.text.max_length


@pytest.mark.slow
@pytest.mark.shared
def test_the_packaged_file_is_what_the_script_makes(packaged: Tokenizer, shared_root: Path) -> None:
    built = build(shared_root / "data", INTERN25_TINY.text.vocabulary)
    assert built.to_json() == packaged.to_json()
