"""Small random Qwen2, Llama, Mistral, BERT and RoBERTa as text cores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from intern25.generalist.language_core import LanguageCore, LanguageCoreConfig
from intern25.generalist.language_tokenizer import LanguageTokenizer
from intern25.generalist.text_core import TextCore

transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 40, "initializer_range": 0.3, "pad_token_id": 0,
}  # fmt: skip
CAUSAL = ("qwen2", "llama", "mistral")
ENCODERS = ("bert", "roberta")
TEXTS = ["A dog runs.", "一只狗在跑", "two dogs run after a ball"]


def settings_of(kind: str) -> Any:
    if kind in ("qwen2", "llama"):
        return transformers.AutoConfig.for_model(kind, **SIZES, num_key_value_heads=2)
    if kind == "mistral":
        return transformers.AutoConfig.for_model(kind, **SIZES, num_key_value_heads=2, sliding_window=4)
    return transformers.AutoConfig.for_model(kind, **SIZES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of each model with its weights and one tokenizer for all."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(TEXTS * 3, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    result = {}
    for kind in (*CAUSAL, *ENCODERS):
        torch.manual_seed(3)
        result[kind] = tmp_path_factory.mktemp(kind)
        model = transformers.AutoModel.from_config(settings_of(kind))
        model.save_pretrained(result[kind])
        fast.save_pretrained(result[kind])
    return result


def core_of(folder: Path, **changes: Any) -> LanguageCore:
    return LanguageCore(LanguageCoreConfig(name_or_path=str(folder), **changes)).eval()


def random_ids(rows: int = 3, length: int = 9) -> Tensor:
    return torch.randint(3, 300, (rows, length), generator=torch.Generator().manual_seed(5))


def reference(folder: Path, ids: Tensor, **arguments: Any) -> Tensor:
    """States of the model that transformers loads by itself."""
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        states: Tensor = model(ids, **arguments).last_hidden_state
    return states


@pytest.mark.parametrize("kind", CAUSAL + ENCODERS)
def test_states_are_those_of_the_model(folders: dict[str, Path], kind: str) -> None:
    core: TextCore = core_of(folders[kind])
    ids = random_ids()
    assert torch.allclose(core(ids), reference(folders[kind], ids), atol=1e-5)
    assert core.width == core.embedding.embedding_dim == 32
    assert len(core.new_caches()) == 2


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", CAUSAL + ENCODERS)
@torch.no_grad()
def test_padding_changes_nothing(folders: dict[str, Path], kind: str, causal: bool) -> None:
    core, ids = core_of(folders[kind]), random_ids()
    present = torch.arange(9) < torch.tensor([9, 4, 0])[:, None]
    states = core(ids, present, causal=causal)
    assert states.isfinite().all()
    for row, count in ((0, 9), (1, 4)):
        alone = core(ids[row : row + 1, :count], causal=causal)
        assert torch.allclose(states[row, :count], alone[0], atol=1e-4)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", CAUSAL + ENCODERS)
@torch.no_grad()
def test_written_in_steps_is_written_at_once(folders: dict[str, Path], kind: str, padded: bool) -> None:
    core, ids = core_of(folders[kind]), random_ids()
    # Padding after the prompts of some rows, then all go on.
    present = torch.ones(3, 9).bool()
    if padded:
        present[1, 3:5], present[2, 2:5] = False, False
    whole = core(ids, present if padded else None, causal=True)
    rows = torch.tensor([2, 0, 0, 1])
    caches = core.new_caches()
    prompt = core(ids[:, :5], present[:, :5] if padded else None, causal=True, caches=caches)
    assert torch.allclose(prompt[present[:, :5]], whole[:, :5][present[:, :5]], atol=1e-4)
    caches = [cache.select(rows) for cache in caches]
    parts = [core(ids[rows, at:end], causal=True, caches=caches) for at, end in ((5, 6), (6, 8), (8, 9))]
    assert torch.allclose(torch.cat(parts, 1), whole[rows, 5:], atol=1e-4)
    assert {cache.length for cache in caches} == {9}


@pytest.mark.parametrize("kind", CAUSAL + ENCODERS)
@torch.no_grad()
def test_who_sees_what_comes_after(folders: dict[str, Path], kind: str) -> None:
    core, ids = core_of(folders[kind]), random_ids(1)
    other = ids.clone()
    other[0, 5:] = 3
    for causal in (False, True):
        same = torch.isclose(core(ids, causal=causal), core(other, causal=causal), atol=1e-5).all(-1)[0, :5]
        assert same.all() if causal or kind in CAUSAL else not same.any()


@pytest.mark.parametrize("kind", ["qwen2", "bert"])
@torch.no_grad()
def test_start_moves_positions(folders: dict[str, Path], kind: str) -> None:
    core, ids = core_of(folders[kind]), random_ids()
    positions = torch.arange(4, 13).expand(3, -1)
    expected = reference(folders[kind], ids, position_ids=positions)
    assert torch.allclose(core(ids, start=4), expected, atol=1e-5)
    if kind == "bert":
        assert not torch.allclose(core(ids), expected, atol=1e-2)


@pytest.mark.parametrize(
    ("kind", "targets"),
    [("qwen2", ()), ("llama", ("q_proj", "v_proj")), ("bert", ("query",)), ("roberta", ())],
)
def test_gradients_reach_lora_alone(folders: dict[str, Path], kind: str, targets: tuple[str, ...]) -> None:
    core = core_of(folders[kind], lora_rank=2, lora_alpha=4, lora_targets=targets).train()
    ids = random_ids()
    with torch.no_grad():
        for name, parameter in core.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    core(ids, causal=True).square().sum().backward()
    for name, parameter in core.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        assert (parameter.grad is not None) == ("lora_" in name), name
    names = [name for name, parameter in core.named_parameters() if parameter.requires_grad]
    layers = {name.split(".lora_")[0].rsplit(".", 1)[1] for name in names}
    assert layers == set(targets) if targets else len(layers) >= 4


@torch.no_grad()
def test_lora_is_its_formula_and_merging_keeps_the_states(folders: dict[str, Path]) -> None:
    core = core_of(folders["llama"], lora_rank=2, lora_alpha=6, lora_targets=("v_proj",))
    ids = random_ids()
    plain = reference(folders["llama"], ids)
    # B starts at zero: the model begins as it was.
    assert torch.allclose(core(ids), plain, atol=1e-5)
    model = transformers.AutoModel.from_pretrained(folders["llama"], dtype=torch.float32).eval()
    matrices = dict(core.named_parameters())
    for name, weight in model.named_parameters():
        if name.endswith("v_proj.weight"):
            stem = f"model.base_model.model.{name.removesuffix('.weight')}.lora_"
            a, b = matrices[f"{stem}A.default.weight"], matrices[f"{stem}B.default.weight"].normal_()
            weight += 6 / 2 * b @ a
    states = core(ids)
    assert torch.allclose(states, model(ids).last_hidden_state, atol=1e-4)
    assert not torch.allclose(states, plain, atol=1e-2)
    core.merge_lora()
    assert torch.allclose(core(ids), states, atol=1e-4)
    assert not any("lora" in name or p.requires_grad for name, p in core.named_parameters())
    core.merge_lora()
    assert torch.allclose(core(ids), states, atol=1e-4)


def test_what_is_trained(folders: dict[str, Path]) -> None:
    ids = random_ids()
    frozen = core_of(folders["bert"]).train()
    assert not frozen(ids).requires_grad
    assert torch.equal(frozen(ids), frozen(ids))  # the dropout of a frozen model is off
    free = core_of(folders["bert"], freeze=False).train()
    free(ids).sum(1).square().sum().backward()
    assert all(parameter.grad is not None for parameter in free.parameters())


@pytest.mark.parametrize("characters", [False, True])
def test_tokenizer(folders: dict[str, Path], characters: bool) -> None:
    tokenizer = LanguageTokenizer(str(folders["qwen2"]))
    texts = [*TEXTS, "", "say </s> and <pad>"]
    batch = tokenizer.encode(texts, max_length=64, characters=characters, end=True)
    for text, ids, present in zip(texts, batch.ids, batch.present, strict=True):
        kept = ids[present].tolist()
        assert tokenizer.decode(ids) == text
        assert kept[-1] == tokenizer.end_id == 2
        assert not set(kept[:-1]) & {0, 1, 2}
        assert ids[~present].tolist() == [tokenizer.pad_id] * int((~present).sum())
    lengths = batch.present.sum(1).tolist()
    if characters:
        for text, ids, length in zip(texts, batch.ids.tolist(), lengths, strict=True):
            alone = [tokenizer.encode([character], max_length=9) for character in text]
            assert ids[: length - 1] == [int(t) for one in alone for t in one.ids[one.present]]
    else:
        assert lengths[2] < len(texts[2])
    short = tokenizer.encode(texts, max_length=3, characters=characters, end=True)
    assert short.ids.tolist()[0] == [*batch.ids[0, :2].tolist(), 2]


def test_tokenizer_of_an_encoder_has_its_own_special_tokens(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "##s"]
    fast = transformers.BertTokenizerFast(vocab={word: number for number, word in enumerate(words)})
    fast.save_pretrained(tmp_path)
    tokenizer = LanguageTokenizer(str(tmp_path))
    assert (tokenizer.pad_id, tokenizer.end_id, tokenizer.spe_id) == (0, 3, 4)
    assert tokenizer.encode(["a dogs"], max_length=9).ids.tolist() == [[5, 6, 7]]
    assert tokenizer.decode([2, 5, 6, 7, 3, 0]) == "a dogs"


def test_bad_texts_are_refused(folders: dict[str, Path]) -> None:
    tokenizer = LanguageTokenizer(str(folders["qwen2"]))
    with pytest.raises(TypeError, match="not str"):
        tokenizer.encode("one text", max_length=4)
    with pytest.raises(ValueError, match="half a surrogate pair"):
        tokenizer.encode(["\ud800"], max_length=4)
    with pytest.raises(ValueError, match="tokens must lie in"):
        tokenizer.decode([300])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name_or_path": ""}, "name_or_path is empty"),
        ({"lora_rank": -1}, "lora_rank=-1"),
        ({"lora_rank": 2, "lora_alpha": 0}, "lora_alpha=0"),
        ({"lora_targets": ("q_proj",)}, "needs lora_rank above 0"),
        ({"lora_rank": 2, "freeze": False}, "set freeze=True or lora_rank=0"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LanguageCoreConfig(**{"name_or_path": "somewhere", **changes})


def test_bad_models_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(ValueError, match="no language model at"):
        core_of(tmp_path)
    with pytest.raises(ValueError, match="no tokenizer of a language model at"):
        LanguageTokenizer(str(tmp_path / "absent"))
    t5 = transformers.T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    transformers.T5Model(t5).save_pretrained(tmp_path / "t5")
    with pytest.raises(ValueError, match="is a t5 model; the text core must be"):
        core_of(tmp_path / "t5")
    with pytest.raises(ValueError, match="no_such_layer"):
        core_of(folders["llama"], lora_rank=2, lora_targets=("no_such_layer",))


def test_bad_calls_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    core = core_of(folders["roberta"])
    with pytest.raises(ValueError, match=r"positions 0 \.\. 39 do not fit into the 39 of"):
        core(random_ids(1, 40))  # its positions start at 1 here, behind the padding's number
    with pytest.raises(ValueError, match="3 caches for 2 layers"):
        core(random_ids(), caches=core.new_caches() + core.new_caches()[:1])
    distil = transformers.DistilBertConfig(vocab_size=300, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    transformers.DistilBertModel(distil).save_pretrained(tmp_path)
    other = core_of(tmp_path)
    assert other(random_ids(), causal=True).shape == (3, 9, 8)
    with pytest.raises(ValueError, match="cannot go on from cached tokens"):
        other(random_ids(), causal=True, caches=other.new_caches())
