# SPDX-License-Identifier: MIT
"""Parts of Mask2Former that the goldens do not reach."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from intern25.segmentation.mask2former import Mask2Former
from intern25.segmentation.mask2former_decoder import MaskedDecoder
from tests.segmentation.models import TINY_MASK2FORMER


def test_scores_are_classes_times_masks() -> None:
    model, x = Mask2Former(TINY_MASK2FORMER).eval(), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        class_logits, mask_logits = model.predict_queries(x)
        scores = model.scores(x)
    assert class_logits.shape == (2, 8, 5)
    assert mask_logits.shape == (2, 8, 16, 24)
    probability = class_logits.softmax(-1)
    expected = torch.zeros(2, 4, 16, 24)
    for query in range(8):
        for label in range(4):
            expected[:, label] += probability[:, query, label, None, None] * mask_logits[:, query].sigmoid()
    torch.testing.assert_close(scores, expected)


def test_blocked_cells_are_those_of_the_resized_mask() -> None:
    """Masks of resized features equal resized masks; a query without any cell sees everything."""
    decoder = MaskedDecoder(TINY_MASK2FORMER).double().eval()
    features = torch.randn(2, 32, 16, 24, dtype=torch.float64)
    queries = torch.randn(2, 8, 32, dtype=torch.float64)
    with torch.no_grad():
        masks = F.interpolate(decoder._predict(queries, features).mask_logits, size=(4, 6), mode="bilinear")
        coarse = F.interpolate(features, size=(4, 6), mode="bilinear")
        blocked = decoder._blocked(queries, coarse)
        nothing = decoder._blocked(queries, torch.zeros_like(coarse) + 0 * coarse)
    expected = masks.sigmoid().flatten(2) < 0.5
    expected[expected.all(-1)] = False
    assert torch.equal(blocked.view(2, 4, 8, 24), expected[:, None].expand(-1, 4, -1, -1))
    assert blocked.any()
    assert not nothing.any()


def test_a_query_whose_mask_is_empty_sees_everything() -> None:
    decoder = MaskedDecoder(TINY_MASK2FORMER).eval()
    with torch.no_grad():
        embedding = decoder.mask_embedding(decoder.norm(decoder.query_features.weight[:1]))
        features = -embedding[..., None, None].expand(1, 32, 4, 6) if embedding.ndim == 2 else embedding
        queries = decoder.query_features.weight[:1][None]
        assert (decoder._masks(decoder.norm(queries), features) < 0).all()
        assert not decoder._blocked(queries, features).any()


def test_checkpointing_changes_no_gradient() -> None:
    model, x = Mask2Former(TINY_MASK2FORMER).eval(), torch.randn(1, 3, 64, 64)
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model.scores(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) > 100
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)
