# SPDX-License-Identifier: MIT
"""The unified decoder against loops in float64, and the properties that tasks rely on."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from intern25.generalist.attributes import Attributes
from intern25.generalist.config import INTERN25_TINY
from intern25.generalist.decoder import DecoderLayer, Segment, UnifiedDecoder
from intern25.generalist.experts import DenseLinear, ExpertLinear
from intern25.generalist.key_value_cache import KeyValueCache

CONFIG = replace(INTERN25_TINY, width=16, layers=3, heads=2, feedforward=24, experts=3, active_experts=2)
IMAGE, WORDS = Attributes.from_bits("11011000"), Attributes.from_bits("11010101")
QUESTION = Attributes.from_bits("11010100")
EXACT = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def decoder() -> UnifiedDecoder:
    decoder = UnifiedDecoder(CONFIG).eval()
    # Larger than at initialisation, so that attention is far from uniform and experts differ.
    with torch.no_grad():
        for parameter in decoder.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.4)
    return decoder


def segment(
    length: int,
    attributes: Attributes = IMAGE,
    *,
    rows: int = 2,
    present: Tensor | None = None,
    causal: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Segment:
    tokens = torch.randn(rows, length, CONFIG.width, dtype=dtype)
    return Segment(tokens=tokens, attributes=attributes, present=present, causal=causal)


def cut(whole: Segment, start: int, stop: int) -> Segment:
    present = None if whole.present is None else whole.present[:, start:stop]
    return replace(whole, tokens=whole.tokens[:, start:stop], present=present)


# --- oracle ---------------------------------------------------------------------------------------


def linear(
    layer: torch.nn.Module, router: torch.nn.Module | None, attributes: Attributes, x: Tensor
) -> Tensor:
    """One token through every expert, the outputs mixed."""
    if isinstance(layer, DenseLinear):
        return F.linear(x, layer.weight, layer.bias)
    assert isinstance(layer, ExpertLinear)
    assert router is not None
    gates = router(attributes)
    outputs = [layer.weight[e] @ x + layer.bias[e] for e in gates.experts.tolist()]
    return sum((share * y for share, y in zip(gates.shares, outputs, strict=True)), torch.zeros(()))


def sees(segments: list[Segment], row: int, query: tuple[int, int], key: tuple[int, int]) -> bool:
    (q_segment, q_place), (k_segment, k_place) = query, key
    if query == key:
        return True
    present = segments[k_segment].present
    if present is not None and not present[row, k_place]:
        return False
    if not segments[k_segment].causal:
        return True
    return segments[q_segment].causal and (k_segment, k_place) < (q_segment, q_place)


def norm(layer: torch.nn.Module, x: Tensor) -> Tensor:
    return layer.weight * (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() + layer.bias


def layer_by_tokens(
    layer: DecoderLayer, segments: list[Segment], row: int, tokens: dict[tuple[int, int], Tensor]
) -> dict[tuple[int, int], Tensor]:
    kinds = [s.attributes for s in segments]
    width, head = CONFIG.width, CONFIG.width // CONFIG.heads
    qkv = {
        key: linear(layer.qkv, layer.attention_router, kinds[key[0]], norm(layer.attention_norm, x))
        for key, x in tokens.items()
    }
    result = {}
    for query, x in tokens.items():
        visible = [key for key in tokens if sees(segments, row, query, key)]
        attended = []
        for h in range(CONFIG.heads):
            q = qkv[query][h * head : (h + 1) * head]
            ks = [qkv[key][width + h * head : width + (h + 1) * head] for key in visible]
            vs = [qkv[key][2 * width + h * head : 2 * width + (h + 1) * head] for key in visible]
            odds = [math.exp(float(q @ k) / math.sqrt(head)) for k in ks]
            attended.append(sum((o / sum(odds) * v for o, v in zip(odds, vs, strict=True)), torch.zeros(())))
        kind = kinds[query[0]]
        x = x + linear(layer.out, layer.attention_router, kind, torch.cat(attended))
        hidden = linear(layer.fc1, layer.feedforward_router, kind, norm(layer.feedforward_norm, x))
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        result[query] = x + linear(layer.fc2, layer.feedforward_router, kind, hidden)
    return result


@torch.no_grad()
def decoded_by_tokens(decoder: UnifiedDecoder, segments: list[Segment], row: int) -> list[Tensor]:
    tokens = {(i, place): x for i, s in enumerate(segments) for place, x in enumerate(s.tokens[row])}
    for layer in decoder.layers:
        assert isinstance(layer, DecoderLayer)
        tokens = layer_by_tokens(layer, segments, row, tokens)
    return [
        torch.stack([norm(decoder.norm, tokens[i, place]) for place in range(s.tokens.shape[1])])
        for i, s in enumerate(segments)
    ]


def test_every_token_by_the_formula(decoder: UnifiedDecoder) -> None:
    decoder.double()
    present = torch.tensor([[True, True, True], [True, False, False]])
    segments = [
        segment(4, dtype=torch.float64),
        segment(3, WORDS, causal=True, present=present, dtype=torch.float64),
        segment(2, QUESTION, present=present[:, 1:], dtype=torch.float64),
        segment(2, WORDS, causal=True, dtype=torch.float64),
    ]
    with torch.no_grad():
        found = decoder(segments)
    for row in range(2):
        for ours, expected in zip(found, decoded_by_tokens(decoder, segments, row), strict=True):
            torch.testing.assert_close(ours[row], expected, rtol=1e-9, atol=1e-9)


# --- visibility -----------------------------------------------------------------------------------


@torch.no_grad()
def test_a_prefix_does_not_see_the_text_after_it(decoder: UnifiedDecoder) -> None:
    image, words = segment(4), segment(5, WORDS, causal=True)
    alone = decoder([image])[0]
    torch.testing.assert_close(decoder([image, words])[0], alone, **EXACT)
    changed = replace(words, tokens=words.tokens.clone())
    changed.tokens[:, 3] += torch.randn(16)
    before, after = decoder([image, words])[1], decoder([image, changed])[1]
    torch.testing.assert_close(before[:, :3], after[:, :3], **EXACT)
    assert (before[:, 3:] - after[:, 3:]).abs().amax(dim=-1).min() > 1e-3


@torch.no_grad()
def test_cutting_a_segment_in_two_changes_nothing(decoder: UnifiedDecoder) -> None:
    image, words = segment(5), segment(4, WORDS, causal=True)
    whole = decoder([image, words])
    parts = decoder([cut(image, 0, 2), cut(image, 2, 5), cut(words, 0, 1), cut(words, 1, 4)])
    torch.testing.assert_close(torch.cat(parts[:2], 1), whole[0], **EXACT)
    torch.testing.assert_close(torch.cat(parts[2:], 1), whole[1], **EXACT)


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_absent_tokens_influence_nobody(decoder: UnifiedDecoder, causal: bool) -> None:
    present = torch.tensor([[True, True, False, False], [False, True, True, True]])
    image, words = segment(3), segment(4, WORDS, causal=causal, present=present)
    other = replace(words, tokens=torch.where(present[..., None], words.tokens, 100.0))
    one, two = decoder([image, words]), decoder([image, other])
    torch.testing.assert_close(one[0], two[0], **EXACT)
    torch.testing.assert_close(one[1][present], two[1][present], **EXACT)
    # Nor does their number: the first row without them.
    short = Segment(tokens=words.tokens[:1, :2], attributes=WORDS, causal=causal)
    alone = decoder([replace(image, tokens=image.tokens[:1]), short])
    torch.testing.assert_close(alone[0], one[0][:1], **EXACT)
    torch.testing.assert_close(alone[1], one[1][:1, :2], **EXACT)


def test_a_row_without_any_token_stays_finite(decoder: UnifiedDecoder) -> None:
    present = torch.tensor([[True, True, True], [False, False, False]])
    for causal in (False, True):
        words = segment(3, WORDS, causal=causal, present=present)
        words.tokens.requires_grad_()
        (states,) = decoder([words])
        assert states.isfinite().all()
        states[0].square().sum().backward()
        assert words.tokens.grad is not None
        assert words.tokens.grad.isfinite().all()
        assert words.tokens.grad[1].abs().max() == 0


# --- caches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [False, True])
@torch.no_grad()
def test_stepping_equals_the_full_pass(decoder: UnifiedDecoder, padded: bool) -> None:
    present = torch.tensor([[True, True, True], [True, True, False]]) if padded else None
    image, question = segment(4), segment(3, QUESTION, present=present)
    words = segment(6, WORDS, causal=True)
    full = decoder([image, question, words])
    caches = decoder.new_caches()
    first = decoder([image, question, cut(words, 0, 2)], caches)
    steps = [decoder([cut(words, start, stop)], caches)[0] for start, stop in ((2, 3), (3, 5), (5, 6))]
    torch.testing.assert_close(torch.cat([first[2], *steps], 1), full[2], **EXACT)
    torch.testing.assert_close(first[0], full[0], **EXACT)
    assert [cache.length for cache in caches] == [13] * CONFIG.layers


@torch.no_grad()
def test_padding_in_the_text_and_chosen_rows_are_remembered(decoder: UnifiedDecoder) -> None:
    present = torch.tensor([[True, True, True], [True, False, True]])
    image, words = segment(4), segment(3, WORDS, causal=True, present=present)
    full = decoder([image, words])[1]
    caches = decoder.new_caches()
    decoder([image, cut(words, 0, 2)], caches)
    rows = torch.tensor([1, 0, 1])
    chosen = [cache.select(rows) for cache in caches]
    last = Segment(tokens=words.tokens[rows, 2:], attributes=WORDS, causal=True)
    torch.testing.assert_close(decoder([last], chosen)[0], full[rows, 2:], **EXACT)


# --- merged weights -------------------------------------------------------------------------------


@torch.no_grad()
def test_merged_weights_are_kept_in_evaluation(decoder: UnifiedDecoder) -> None:
    layer = decoder.layers[0]
    assert isinstance(layer, DecoderLayer)
    first = layer.merged(IMAGE)
    assert layer.merged(IMAGE) is first
    assert layer.merged(WORDS) is not first
    assert layer.merged(replace(IMAGE)) is first


def written_in_place(decoder: UnifiedDecoder) -> None:
    for parameter in decoder.parameters():
        parameter.add_(torch.randn_like(parameter))


def stepped(decoder: UnifiedDecoder) -> None:
    """Train without ``train()``, by a fused optimiser, whose writing no version counts."""
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=0.1, fused=True)
    with torch.enable_grad():
        (decoder([segment(3)])[0] * torch.rand(16)).sum().backward()
    decoder([segment(3)])
    optimizer.step()
    optimizer.zero_grad()


def loaded(decoder: UnifiedDecoder) -> None:
    decoder.load_state_dict({name: x + 1 for name, x in decoder.state_dict().items()})


def assigned(decoder: UnifiedDecoder) -> None:
    decoder.load_state_dict({name: x + 1 for name, x in decoder.state_dict().items()}, assign=True)


def swapped(decoder: UnifiedDecoder) -> None:
    for parameter in decoder.parameters():
        parameter.data = parameter.data + torch.randn_like(parameter)


def written_through_data(decoder: UnifiedDecoder) -> None:
    for parameter in decoder.parameters():
        parameter.data.add_(torch.randn_like(parameter))
    decoder.eval()


@pytest.mark.parametrize(
    "change",
    [written_in_place, stepped, loaded, assigned, swapped, written_through_data],
    ids=lambda f: f.__name__,
)
@torch.no_grad()
def test_changed_parameters_are_merged_anew(decoder: UnifiedDecoder, change) -> None:
    image = segment(4)
    old = decoder([image])[0]
    change(decoder)
    new = decoder([image])[0]
    assert (new - old).abs().max() > 1e-2
    torch.testing.assert_close(new, copy.deepcopy(decoder)([image])[0])


@torch.no_grad()
def test_kept_weights_follow_the_precision(decoder: UnifiedDecoder) -> None:
    image = segment(4)
    plain = decoder([image])[0]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = decoder([image])[0]
    assert torch.equal(decoder([image])[0], plain)
    assert 1e-4 < (rounded - plain).abs().max() < 0.2
    wide = decoder.double()([replace(image, tokens=image.tokens.double())])[0]
    torch.testing.assert_close(wide.float(), plain, **EXACT)


def test_weights_kept_in_inference_mode_do_not_enter_gradients(decoder: UnifiedDecoder) -> None:
    image = segment(4)
    with torch.inference_mode():
        expected = decoder([image])[0]
        decoder([image])
    with torch.no_grad():
        torch.testing.assert_close(decoder([image])[0], expected)
    found = decoder([image])[0]
    found.square().sum().backward()
    torch.testing.assert_close(found, expected)
    assert all(p.grad is not None for p in decoder.parameters())


def test_a_copy_carries_no_kept_weights(decoder: UnifiedDecoder) -> None:
    with torch.no_grad():
        decoder([segment(4)])
    layer = copy.deepcopy(decoder).layers[0]
    assert isinstance(layer, DecoderLayer)
    assert layer._kept == ((), {})


# --- training -------------------------------------------------------------------------------------


def test_gradients_in_float64(decoder: UnifiedDecoder) -> None:
    decoder.double()
    words = segment(2, WORDS, rows=1, causal=True, dtype=torch.float64)

    def forward(tokens: Tensor) -> Tensor:
        image = Segment(tokens=tokens, attributes=IMAGE)
        return torch.cat(decoder([image, words]), dim=1)

    tokens = torch.randn(1, 2, CONFIG.width, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(forward, (tokens,), fast_mode=True)


def test_every_parameter_learns(decoder: UnifiedDecoder) -> None:
    decoder.train()
    kinds = [IMAGE, QUESTION, WORDS, Attributes.from_bits("10010110"), Attributes.from_bits("0101010000")]
    for _ in range(8):
        sum(
            (states.square() * torch.rand(16)).sum() for states in decoder([segment(3, a) for a in kinds])
        ).backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_one_choice_of_experts_serves_all_segments_of_a_kind(decoder: UnifiedDecoder) -> None:
    """In training the choice is noisy, but two segments of one kind in a call share it."""
    decoder.train()
    tokens = segment(3).tokens
    for _ in range(5):
        one, two = decoder([Segment(tokens=tokens, attributes=IMAGE) for _ in range(2)])
        torch.testing.assert_close(one, two, **EXACT)
    first, second = (decoder([Segment(tokens=tokens, attributes=IMAGE)])[0] for _ in range(2))
    assert (first - second).abs().max() > 1e-3


def test_every_second_layer_has_experts(decoder: UnifiedDecoder) -> None:
    routed = [isinstance(layer.qkv, ExpertLinear) for layer in decoder.layers]
    assert routed == [True, False, True]
    plain = UnifiedDecoder(replace(CONFIG, experts=1, active_experts=1))
    assert not any(isinstance(module, ExpertLinear) for module in plain.modules())


# --- mistakes -------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused(decoder: UnifiedDecoder) -> None:
    with pytest.raises(ValueError, match="at least one segment"):
        decoder([])
    with pytest.raises(ValueError, match="agree in N"):
        decoder([segment(3), segment(3, rows=1)])
    with pytest.raises(ValueError, match="width 16"):
        decoder([Segment(tokens=torch.zeros(1, 2, 8), attributes=IMAGE)])
    with pytest.raises(ValueError, match="1 caches for 3 layers"):
        decoder([segment(3)], [KeyValueCache()])
    with pytest.raises(ValueError, match=r"expected \(N, L, width\)"):
        Segment(tokens=torch.zeros(2, 8), attributes=IMAGE)
    for present in (torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 3)):
        with pytest.raises(ValueError, match="must be bool"):
            segment(3, present=present)
