# SPDX-License-Identifier: MIT
"""Prompts against attention over explicitly concatenated keys and values; what is trained; the head."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from pathlib import Path
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.data.class_names import ClassNames
from intern25.data.tensor_files import write_tensors
from intern25.generalist.attributes import Attributes
from intern25.generalist.config import INTERN25_BASE
from intern25.generalist.decoder import DecoderLayer, Segment, UnifiedDecoder
from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.generation import Generation
from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.model import Generalist
from intern25.generalist.prompt_tuning import (
    PromptCache,
    PromptedDecoder,
    TunedClassHead,
    add_prompts,
    class_heads_of,
    class_names_of,
    name_classes,
    only_head,
    prepare_prompt_tuning,
    prompts_of,
    tuned_logits,
)
from intern25.generalist.routing import ANSWERING, MATCHING
from intern25.generalist.tokenizer import Tokenizer
from intern25.generalist.writing import PrefixWriter, written_answers
from tests.generalist.small_model import SMALL, small_generalist

IMAGE, WORDS = Attributes.from_bits("11011000"), Attributes.from_bits("11010101")


def prompted(prompts: int = 3, seed: int = 1) -> PromptedDecoder:
    torch.manual_seed(seed)
    decoder = PromptedDecoder(UnifiedDecoder(SMALL), prompts).double().eval()
    for parameter in decoder.parameters():
        parameter.data = torch.randn_like(parameter) * 0.4
    return decoder


def tokens(rows: int, length: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, length, SMALL.width, generator=generator, dtype=torch.float64)


def attention_with_prompts(
    layer: DecoderLayer, x: Tensor, visible: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """One decoder layer of one row, with the prompts put in front of keys and values, head by head."""
    weights = layer.merged(IMAGE)
    qkv = weights.qkv(layer.attention_norm(x))
    q, k, v = qkv.chunk(3, dim=-1)
    side = SMALL.width // layer.heads
    heads = []
    for head in range(layer.heads):
        part = slice(head * side, (head + 1) * side)
        all_keys, all_values = torch.cat((keys[head], k[:, part])), torch.cat((values[head], v[:, part]))
        scores = q[:, part] @ all_keys.T / math.sqrt(side)
        seen = torch.cat((torch.ones(len(x), len(keys[head]), dtype=torch.bool), visible), dim=1)
        heads.append(scores.masked_fill(~seen, -torch.inf).softmax(dim=1) @ all_values)
    x = x + weights.out(torch.cat(heads, dim=1))
    return x + weights.fc2(F.gelu(weights.fc1(layer.feedforward_norm(x))))


@torch.no_grad()
def test_prompts_are_keys_and_values_in_front_of_all_others() -> None:
    decoder = prompted()
    x = tokens(2, 5, seed=3)
    present = torch.tensor([[True] * 5, [True, True, True, False, False]])
    (found,) = decoder([Segment(tokens=x, attributes=IMAGE, present=present)])
    for row in range(2):
        expected = x[row]
        visible = present[row].expand(5, 5) | torch.eye(5, dtype=torch.bool)
        for index, layer in enumerate(decoder.layers):
            expected = attention_with_prompts(
                cast(DecoderLayer, layer),
                expected,
                visible,
                decoder.prompt_keys[index],
                decoder.prompt_values[index],
            )
        torch.testing.assert_close(found[row], decoder.norm(expected), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_causal_text_sees_the_prompts_and_what_is_before() -> None:
    decoder = prompted()
    x = tokens(1, 4, seed=4)
    (found,) = decoder([Segment(tokens=x, attributes=IMAGE, causal=True)])
    expected = x[0]
    for index, layer in enumerate(decoder.layers):
        expected = attention_with_prompts(
            cast(DecoderLayer, layer), expected, torch.ones(4, 4).tril().bool(), decoder.prompt_keys[index],
            decoder.prompt_values[index],
        )  # fmt: skip
    torch.testing.assert_close(found[0], decoder.norm(expected), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("with_gradients", [False, True])
def test_writing_in_steps_equals_one_pass(with_gradients: bool) -> None:
    decoder = prompted()
    image, words = tokens(3, 6, seed=5), tokens(3, 4, seed=6)
    prefix = Segment(tokens=image, attributes=IMAGE)
    with torch.set_grad_enabled(with_gradients):
        whole = decoder([prefix, Segment(tokens=words, attributes=WORDS, causal=True)])[1]
        caches = decoder.new_caches()
        decoder([prefix], caches)
        steps = []
        for place in range(4):
            step = Segment(tokens=words[:, place : place + 1], attributes=WORDS, causal=True)
            steps.append(decoder([step], caches)[0])
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-9, atol=1e-9)
    assert caches[0].length == 3 + 6 + 4


def test_answers_of_a_batch_are_those_of_each_row() -> None:
    model = small_generalist()
    add_prompts(model, 4, {})
    for parameter in (
        cast(PromptedDecoder, model.decoder).prompt_keys,
        cast(PromptedDecoder, model.decoder).prompt_values,
    ):
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    model.eval()
    tokenizer = Tokenizer.packaged()
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    questions = ["what color is it", "how many", "这是什么东西呢"]
    with torch.no_grad():
        features = model.encode_image(images)
        prompts = tokenizer.encode(questions, max_length=16)
        together = written_answers(model, features, prompts, tokenizer, Generation(max_length=6))
        alone = [
            written_answers(
                model,
                features.select(torch.tensor([row])),
                tokenizer.encode([question], max_length=16),
                tokenizer,
                Generation(max_length=6),
            )[0]
            for row, question in enumerate(questions)
        ]
        # Finished rows and beams are chosen from the caches, prompts included.
        beams = written_answers(model, features, prompts, tokenizer, Generation(max_length=6, beams=3))
        writer = PrefixWriter(model, ANSWERING)
        state = writer.start(model.prefix(features, prompts, ANSWERING))
        chosen = writer.select(state, torch.tensor([2, 0]))
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert len(beams) == 3
    assert chosen.decoder[0].rows == 2
    assert chosen.decoder[0].length == state.decoder[0].length > 4


@torch.no_grad()
def test_at_the_start_prompts_only_dilute() -> None:
    torch.manual_seed(0)
    layer = DecoderLayer(SMALL, routed=False).double()
    qkv = torch.randn(2, 5, 3 * SMALL.width, dtype=torch.float64)
    side = SMALL.width // SMALL.heads
    nothing = torch.zeros(SMALL.heads, 4, side, dtype=torch.float64)
    plain = layer._attend(qkv, None, None, None).unflatten(-1, (SMALL.heads, side))
    diluted = layer._attend(qkv, None, None, PromptCache(nothing, nothing)).unflatten(-1, (SMALL.heads, side))
    q, k, _ = qkv.unflatten(-1, (3, SMALL.heads, side)).permute(2, 0, 3, 1, 4)
    total = (q @ k.mT / math.sqrt(side)).exp().sum(dim=-1)  # (N, heads, S)
    share = (total / (total + 4)).transpose(1, 2)[..., None]
    torch.testing.assert_close(diluted, plain * share)
    decoder = PromptedDecoder(UnifiedDecoder(SMALL).double(), 4)
    assert not decoder.prompt_values.any()
    assert decoder.prompt_keys.std() < 0.03


def test_a_cache_without_tokens_has_the_prompts_already() -> None:
    keys = torch.randn(2, 3, 4)
    cache: KeyValueCache = PromptCache(keys, keys)
    assert cache.length == 3
    found, _, present = cache.append(
        torch.zeros(5, 2, 1, 4), torch.zeros(5, 2, 1, 4), torch.zeros(5, 1).bool()
    )
    torch.testing.assert_close(found[4, :, :3], keys)
    assert present is not None
    assert present.tolist() == [[True, True, True, False]] * 5
    assert cache.length == 4


def trained_names(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_only_prompts_norms_the_special_token_and_heads_are_trained() -> None:
    model = small_generalist()
    count = prepare_prompt_tuning(model, 10, {"classify": 7})
    names = trained_names(model)
    norms = {
        f"{name}.{part}"
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for part in ("weight", "bias")
    }
    assert len(norms) > 20
    head = {
        "class_heads.classify.alpha",
        "class_heads.classify.linear.weight",
        "class_heads.classify.linear.bias",
    }
    assert names == norms | head | {"special", "decoder.prompt_keys", "decoder.prompt_values"}
    prompts = SMALL.layers * 10 * 2 * SMALL.width
    norm_size = sum(p.numel() for n, p in model.named_parameters() if n in norms)
    assert count == prompts + norm_size + SMALL.width + 1 + 7 * SMALL.width + 7

    images = torch.randn(4, 3, 64, 64)
    x = model.embed_images(model.encode_image(images), MATCHING)
    y = model.embed_texts(Tokenizer.packaged().encode(list("abcdefg"), max_length=4), MATCHING)
    logits = tuned_logits(model, "classify", model.readout.logits(x, y, "classification"), x)
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    graded = {name for name, p in model.named_parameters() if p.grad is not None}
    assert graded <= names
    assert {"special", "decoder.prompt_keys", "decoder.prompt_values", *head} <= graded
    decoder = cast(PromptedDecoder, model.decoder)
    assert decoder.prompt_values.grad is not None
    assert decoder.prompt_values.grad.flatten(1).norm(dim=1).min() > 0


def test_the_count_of_the_papers_base_model() -> None:
    with torch.device("meta"):
        model = Generalist(dataclasses.replace(INTERN25_BASE, layers=12))
        add_prompts(model, 10, {})
    decoder = cast(PromptedDecoder, model.decoder)
    norms = [
        m for m in (*decoder.modules(), model.input_norm, model.readout.norm) if isinstance(m, nn.LayerNorm)
    ]
    # 25 norms of the encoder, one of the tokens, one of the read-out; the first version has no routers.
    plain = [m for n, m in decoder.named_modules() if isinstance(m, nn.LayerNorm) and "router" not in n]
    sizes = sum(p.numel() for m in (*plain, model.input_norm, model.readout.norm) for p in m.parameters())
    total = sizes + decoder.prompt_keys.numel() + decoder.prompt_values.numel() + model.special.numel()
    assert len(norms) > len(plain) == 25
    assert round(total / 1000) == 227


def test_the_head_adds_to_the_logits() -> None:
    torch.manual_seed(0)
    head = TunedClassHead(5, 3).double()
    x = F.normalize(torch.randn(4, 5, dtype=torch.float64), dim=-1)
    logits = torch.randn(4, 3, dtype=torch.float64) * 10
    torch.testing.assert_close(head(logits, x), logits, rtol=0, atol=0)
    for parameter in head.parameters():
        parameter.data = torch.randn_like(parameter)
    found = head(logits, x)
    for row in range(4):
        for label in range(3):
            weight = head.linear.weight[label].tolist()
            sum_ = sum(w * a * math.sqrt(5) for w, a in zip(weight, x[row].tolist(), strict=True))
            expected = head.alpha.item() * logits[row, label].item() + sum_ + head.linear.bias[label].item()
            assert found[row, label].item() == pytest.approx(expected, rel=1e-12)


def test_a_tuned_model_is_saved_whole(tmp_path: Path) -> None:
    model = small_generalist()
    prepare_prompt_tuning(model, 5, {"classify": 3})
    for name, parameter in model.named_parameters():
        if "prompt_" in name or "class_heads" in name:
            parameter.data = torch.randn_like(parameter)
    model.eval()
    save_generalist(tmp_path / "tuned.safetensors", model)
    loaded = load_generalist(tmp_path / "tuned.safetensors").model
    assert prompts_of(loaded) == 5
    assert class_heads_of(loaded) == {"classify": 3}
    texts = Tokenizer.packaged().encode(["a dog", "街道"], max_length=8)
    with torch.no_grad():
        torch.testing.assert_close(loaded.embed_texts(texts, MATCHING), model.embed_texts(texts, MATCHING))
    logits, x = torch.randn(2, 3), torch.randn(2, SMALL.width)
    torch.testing.assert_close(
        tuned_logits(loaded, "classify", logits, x), tuned_logits(model, "classify", logits, x)
    )
    torch.testing.assert_close(tuned_logits(loaded, "other", logits, x), logits, rtol=0, atol=0)
    # Tuning goes on from a file.
    assert prepare_prompt_tuning(loaded, 5, {"classify": 3, "more": 2}) > 0
    assert class_heads_of(loaded) == {"classify": 3, "more": 2}


ANIMALS, PLANTS = (
    ClassNames(en=("cat", "dog"), zh=("猫", "狗")),
    ClassNames(en=("oak", "fir"), zh=("橡", "杉")),
)


def test_the_names_of_classes_are_in_the_file(tmp_path: Path) -> None:
    model = small_generalist()
    prepare_prompt_tuning(model, 2, {"classify": 2})
    assert only_head(model) is None  # nobody has said what it tells apart
    save_generalist(tmp_path / "plain.safetensors", model)
    assert class_names_of(load_generalist(tmp_path / "plain.safetensors").model) == {}
    name_classes(model, {"classify": ANIMALS})
    save_generalist(tmp_path / "named.safetensors", copy.deepcopy(model))
    loaded = load_generalist(tmp_path / "named.safetensors").model
    assert only_head(loaded) == ("classify", ANIMALS)
    add_prompts(loaded, 2, {"plants": 2})
    assert only_head(loaded) is None
    name_classes(loaded, {"classify": ANIMALS, "plants": PLANTS})
    assert class_names_of(loaded) == {"classify": ANIMALS, "plants": PLANTS}
    assert only_head(loaded) is None  # one of two would be a guess
    assert only_head(small_generalist()) is None


def test_names_that_do_not_fit_the_head_are_refused(tmp_path: Path) -> None:
    model = small_generalist()
    prepare_prompt_tuning(model, 2, {"classify": 2})
    name_classes(model, {"classify": ANIMALS})
    name_classes(model, {"classify": ANIMALS})
    with pytest.raises(ValueError, match="has the class 'cat' where the data have 'oak'"):
        name_classes(model, {"classify": PLANTS})
    with pytest.raises(ValueError, match="3 names for the 2 classes of classify"):
        name_classes(model, {"classify": ClassNames(en=("a", "b", "c"), zh=("a", "b", "c"))})
    with pytest.raises(ValueError, match=r"no head for other; its heads are \['classify'\]"):
        name_classes(model, {"other": ANIMALS})
    header = {"intern25.model": '"generalist"', "intern25.config": json.dumps(dataclasses.asdict(SMALL))}
    bad = tmp_path / "bad.safetensors"
    one = {"en": ["a"], "zh": ["a"]}
    for names in ({"classify": one}, {"other": one}, {"classify": 3}, 3):
        tuned = {"prompts": 2, "classes": {"classify": 2}, "names": names}
        write_tensors(bad, {}, {**header, "intern25.prompt_tuning": json.dumps(tuned)})
        with pytest.raises(ValueError, match="header cannot be read"):
            load_generalist(bad)


def test_a_copy_has_prompts_of_its_own() -> None:
    model = small_generalist()
    add_prompts(model, 2, {})
    twin = copy.deepcopy(model)
    cast(PromptedDecoder, twin.decoder).prompt_values.data += 1
    assert not cast(PromptedDecoder, model.decoder).prompt_values.any()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = small_generalist()
    with pytest.raises(ValueError, match="prompts=0 must be 1 or more"):
        prepare_prompt_tuning(model, 0)
    prepare_prompt_tuning(model, 2, {"classify": 3})
    with pytest.raises(ValueError, match="has 2 prompts a layer, not 3"):
        prepare_prompt_tuning(model, 3)
    with pytest.raises(ValueError, match="head for classify has 3 classes, the data have 4"):
        prepare_prompt_tuning(model, 2, {"classify": 4})
    with pytest.raises(ValueError, match="has prompts already"):
        PromptedDecoder(model.decoder, 2)
    header = {"intern25.model": '"generalist"', "intern25.config": json.dumps(dataclasses.asdict(SMALL))}
    bad = tmp_path / "bad.safetensors"
    for tuned in ('{"prompts": "many"}', '{"prompts": 2, "classes": {"a.b": 3}}', "[]"):
        write_tensors(bad, {}, {**header, "intern25.prompt_tuning": tuned})
        with pytest.raises(ValueError, match="header cannot be read"):
            load_generalist(bad)
