# SPDX-License-Identifier: MIT
"""The proposal network: order, masks on demand, denoising queries, gradients of every parameter."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from intern25.generalist.proposal_criterion import ProposalCriterion, ProposalWeights
from intern25.generalist.proposal_denoising import noise_proposals
from intern25.generalist.proposals import OUTSIDE, Proposals
from intern25.generalist.region_tokens import RegionTokens
from intern25.layers.boxes import xyxy_to_cxcywh
from tests.generalist.proposal_samples import random_maps, random_targets, small_network

CRITERION = ProposalCriterion(ProposalWeights(points=32))


def test_best_comes_first_out_of_training() -> None:
    network, maps = small_network(), random_maps(2)
    with torch.no_grad():
        torch.nn.init.normal_(network.decoder.objectness.weight)
        raw, ordered = network.train()(maps), network.eval()(maps)
    assert (ordered.objectness.diff(dim=1) <= 0).all()
    assert not (raw.objectness.diff(dim=1) <= 0).all()
    assert ordered.layers.boxes.shape[0] == 1  # no loss asks for the other layers
    for n in range(2):
        order = raw.objectness[n].argsort(descending=True)
        torch.testing.assert_close(ordered.boxes[n], raw.boxes[n, order])
        torch.testing.assert_close(ordered.semantic[n], raw.semantic[n, order])
        torch.testing.assert_close(
            ordered.mask_logits()[n], raw.mask_logits()[n, order], rtol=1e-4, atol=1e-5
        )


def test_masks_are_products_of_embeddings_and_features_inside_boxes() -> None:
    outside = 0
    with torch.no_grad():
        proposals = small_network().double().eval()(random_maps(2, dtype=torch.float64))
    indices = torch.tensor([[3, 0], [1, 1]])
    masks = proposals.mask_logits(indices)
    assert masks.shape == (2, 2, 16, 24)
    for n in range(2):
        for place, query in enumerate(indices[n].tolist()):
            embedding = proposals.layers.mask_embeddings[-1, n, query]
            for row, column in product((0, 7, 15), (0, 11, 23)):
                x, y, width, height = proposals.boxes[n, query].tolist()
                away = abs((column + 0.5) / 24 - x) > width / 2 or abs((row + 0.5) / 16 - y) > height / 2
                inner = float(embedding @ proposals.mask_features[n, :, row, column])
                expected = OUTSIDE if away else inner
                outside += away
                assert masks[n, place, row, column].item() == pytest.approx(expected, rel=1e-9)
    assert 0 < outside < 4 * 9
    torch.testing.assert_close(proposals.mask_logits()[0, 3], masks[0, 0])


def test_best_gives_queries_by_objectness() -> None:
    with torch.no_grad():
        proposals = small_network().train()(random_maps(1))
    best = proposals.best(4)
    assert (
        proposals.objectness[0, best[0]].tolist()
        == proposals.objectness[0].sort(descending=True).values[:4].tolist()
    )
    assert proposals.best(1000).shape == (1, 12)


def test_first_prediction_is_the_selected_cells() -> None:
    network = small_network().eval()
    with torch.no_grad():
        proposals = network(random_maps(1), [random_targets(1)])
    assert proposals.layers.boxes.shape[0] == 3
    dense = xyxy_to_cxcywh(proposals.dense.boxes[0].clamp(0, 1))
    for box in proposals.layers.boxes[0, 0]:
        assert (dense - box).abs().sum(dim=1).min() == 0


def test_pictures_do_not_see_each_other() -> None:
    network, maps = small_network().double().eval(), random_maps(3, dtype=torch.float64)
    with torch.no_grad():
        together, alone = network(maps), network([x[1:2] for x in maps])
    torch.testing.assert_close(together.boxes[1:2], alone.boxes)
    torch.testing.assert_close(together.objectness[1:2], alone.objectness)


def test_denoising_queries_change_no_proposal() -> None:
    network, maps = small_network().double().train(), random_maps(2, dtype=torch.float64)
    targets = [random_targets(3), random_targets(1)]
    with torch.no_grad():
        plain, noised = network(maps), network(maps, targets)
    assert plain.denoising is None
    assert noised.denoising is not None
    assert noised.denoising.boxes.shape[:2] == (2, 2)
    torch.testing.assert_close(plain.boxes, noised.boxes)
    torch.testing.assert_close(plain.semantic, noised.semantic)
    assert network.eval()(maps, targets).denoising is None
    assert small_network(denoising=0).train()(random_maps(2), targets).denoising is None


def test_copies_of_many_objects_are_limited() -> None:
    targets = [random_targets(300, None), random_targets(2, None)]
    noised = noise_proposals(targets, torch.zeros(0), num_denoising=10)
    assert noised.noised.labels.shape == (2, 20)
    pictures, queries, objects = noised.pairs()
    assert len(set(objects[pictures == 0].tolist())) == 10
    assert objects[pictures == 1].tolist() == [0, 1]
    assert queries[pictures == 1].tolist() == [0, 1]


def test_copies_stay_near_their_object() -> None:
    targets = [random_targets(3, None), random_targets(2, None)]
    noised = noise_proposals(targets, torch.zeros(0), num_denoising=9)
    boxes = noised.noised.references.sigmoid()
    pictures, queries, objects = noised.pairs()
    assert len(pictures) == 3 * (3 + 2)
    for picture, query, index in zip(pictures.tolist(), queries.tolist(), objects.tolist(), strict=True):
        wanted = xyxy_to_cxcywh(targets[picture].boxes[index])
        # Corners move by at most half a side, or to the border.
        assert ((boxes[picture, query, :2] - wanted[:2]).abs() <= wanted[2:] / 2 + 1e-3).all()


def train_step(proposals: Proposals, *counts: int) -> dict[str, torch.Tensor]:
    return CRITERION(proposals, [random_targets(count) for count in counts]).terms


@pytest.mark.parametrize("counts", [(3, 2), (0, 4)])
def test_every_parameter_learns_from_boxes_and_masks(counts: tuple[int, ...]) -> None:
    network, maps = small_network().train(), random_maps(2)
    # These weights start at zero, which would hide what is before them.
    outputs = [f"box_heads.{i}.layers.2.weight" for i in range(2)]
    for name, parameter in network.named_parameters():
        if name.endswith(("sampling_offsets.weight", "attention_weights.weight", *outputs)):
            torch.nn.init.normal_(parameter, std=0.1)
    targets = [random_targets(count) for count in counts]
    sum(CRITERION(network(maps, targets), targets).terms.values()).backward()  # type: ignore[union-attr]
    silent = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert silent == []


@pytest.mark.parametrize("counts", [(0, 0), (2, 1)])
def test_every_parameter_is_in_the_graph_without_masks(counts: tuple[int, ...]) -> None:
    """In processes that wait for each other's gradients none may be missing."""
    network, maps = small_network().train(), random_maps(2)
    targets = [random_targets(count, None) for count in counts]
    sum(CRITERION(network(maps, targets), targets).terms.values()).backward()  # type: ignore[union-attr]
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_half_precision_is_close() -> None:
    network, maps = small_network(denoising=0).train(), random_maps(1)
    targets = [random_targets(3)]
    plain = network(maps, targets)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(maps, targets)
        tokens = RegionTokens(32, 24)(half)
        terms = CRITERION(half, targets).terms
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert half.boxes.dtype == half.dense.boxes.dtype == torch.float32
    torch.testing.assert_close(half.dense.boxes, plain.dense.boxes, rtol=0, atol=0.02)
    assert tokens.isfinite().all()
    assert all(loss.dtype == torch.float32 for loss in terms.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_checkpointing_changes_no_gradient() -> None:
    network, maps = small_network(denoising=0).double().train(), random_maps(1, dtype=torch.float64)
    targets, gradients = [random_targets(2)], []
    for enable in (False, True):
        network.set_grad_checkpointing(enable)
        network.zero_grad()
        torch.manual_seed(1)
        sum(CRITERION(network(maps, targets), targets).terms.values()).backward()  # type: ignore[union-attr]
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    assert len(gradients[0]) > 50
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_one_target_a_picture() -> None:
    with pytest.raises(ValueError, match="1 targets for 2 pictures"):
        small_network()(random_maps(2), [random_targets(1)])
