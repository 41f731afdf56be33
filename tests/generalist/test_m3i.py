# SPDX-License-Identifier: MIT
"""The M3I objective: mixing, targets, what each prediction sees, and every part of the loss."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.generalist.m3i import (
    CellPredictor,
    M3IConfig,
    M3IObjective,
    MixedInputs,
    TargetEncoder,
    cells_of_blocks,
    deviation_loss,
    mixed,
    represented,
)
from intern25.generalist.places import cell_boxes
from intern25.generalist.routing import MATCHING
from intern25.generalist.tokenizer import Tokenizer
from tests.generalist.small_model import SMALL, small_generalist

PAIRS = 3


def inputs(seed: int = 0, *, texts: bool = False) -> MixedInputs:
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(PAIRS, 4, dtype=torch.bool)
    for pair in range(PAIRS):
        chosen[pair, torch.randperm(4, generator=generator)[:2]] = True
    words = (
        ["a red ball", "a dog", "a cat", "one house", "a car", "a tree"] if texts else ["red", "blue", "dog"]
    )
    corners = 10 * torch.rand(2 * PAIRS, 2, generator=generator)
    places = torch.cat((corners, corners + 30, torch.zeros(2 * PAIRS, 1)), dim=1)
    return MixedInputs(
        pictures=torch.randn(2 * PAIRS, 3, 64, 64, generator=generator),
        others=torch.randn(PAIRS, 3, 64, 64, generator=generator),
        chosen=chosen.view(PAIRS, 2, 2),
        places=places,
        other_places=places[PAIRS:] + torch.tensor([2.0, -1.0, 5.0, 3.0, 1.0]),
        texts=Tokenizer.packaged().encode(words, max_length=8),
        targets=None if texts else torch.tensor([0, 1, 2, 2, 1, 0]),
        same=None,
    )


def test_each_block_shows_one_of_the_pictures() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 2, 3, 64, 96, generator=generator)
    chosen = torch.rand(2, 2, 3, generator=generator) < 0.5
    found = mixed(first, second, chosen)
    for pair in range(2):
        for y in range(64):
            for x in range(96):
                source = first if chosen[pair, y // 32, x // 32] else second
                assert torch.equal(found[pair, :, y, x], source[pair, :, y, x])
    # Nothing of a picture is lost: the other mixture shows the rest.
    torch.testing.assert_close(found + mixed(second, first, chosen), first + second)


def test_cells_belong_to_the_picture_of_their_block() -> None:
    chosen = torch.tensor([[[True, False, False], [False, True, True]]])
    cells = cells_of_blocks(chosen, (4, 6)).view(4, 6)
    for row in range(4):
        for column in range(6):
            assert cells[row, column] == chosen[0, row // 2, column // 2]
    assert torch.equal(cells_of_blocks(chosen, (2, 3)), chosen.flatten(1))


def test_pictures_that_do_not_fit_the_blocks() -> None:
    with pytest.raises(ValueError, match=r"of 2|\(2, 2\) blocks of 32 pixels, \(64, 64\)"):
        mixed(torch.zeros(1, 3, 64, 96), torch.zeros(1, 3, 64, 96), torch.ones(1, 2, 2, dtype=torch.bool))


def test_the_target_encoder_follows_without_gradients() -> None:
    model = small_generalist()
    target = TargetEncoder(model.backbone, 2, 0.9)
    old = [p.clone() for p in target.backbone.parameters()]
    for parameter in model.backbone.parameters():
        parameter.data += torch.randn_like(parameter)
    target.follow(model.backbone)
    for before, now, online in zip(
        old, target.backbone.parameters(), model.backbone.parameters(), strict=True
    ):
        torch.testing.assert_close(now, 0.9 * before + 0.1 * online, rtol=1e-4, atol=1e-5)
    assert not any(p.requires_grad for p in target.parameters())
    assert not any(module.training for module in target.train().modules())
    cells = target(torch.randn(2, 3, 64, 64))
    assert cells.shape == (2, 16, SMALL.backbone.stage_channels[2])
    torch.testing.assert_close(cells.mean(dim=-1), torch.zeros(2, 16), atol=1e-5, rtol=0)


def test_a_prediction_sees_the_cells_of_its_picture_alone() -> None:
    torch.manual_seed(0)
    predictor = CellPredictor(32, 20, 2)
    cells = torch.randn(2, 16, 32)
    seen = torch.rand(2, 16) < 0.5
    seen[:, 0] = True
    places = torch.rand(2, 7, 4)
    found = predictor(cells, seen, places, (4, 4))
    hidden = torch.where(seen[..., None], cells, torch.randn_like(cells))
    torch.testing.assert_close(predictor(hidden, seen, places, (4, 4)), found)
    changed = torch.where(seen[..., None], torch.randn_like(cells), cells)
    assert (predictor(changed, seen, places, (4, 4)) - found).abs().max() > 1e-3
    # It depends on where the query is, and on nothing else of the query.
    assert (found[:, 0] - found[:, 1]).abs().max() > 1e-4
    shuffled = places.flip(1)
    torch.testing.assert_close(predictor(cells, seen, shuffled, (4, 4)), found.flip(1))


def test_a_picture_is_represented_by_its_own_cells() -> None:
    model = small_generalist()
    pooled = SMALL.pooled_tokens
    tokens = torch.randn(2, pooled + 16, SMALL.width)
    seen = cells_of_blocks(torch.tensor([[[True, False], [False, True]]] * 2), (4, 4))
    with torch.no_grad():
        before = represented(model, tokens, seen)
        moved = tokens.clone()
        moved[:, pooled:][~seen] += torch.randn(int((~seen).sum()), SMALL.width)
        after = represented(model, moved, seen)
    torch.testing.assert_close(after[:2], before[:2])
    assert (after[2:] - before[2:]).abs().max() > 1e-3
    torch.testing.assert_close(before.norm(dim=1), torch.ones(4))


def infonce_by_hand(predicted: Tensor, target: Tensor, temperature: float) -> float:
    total = 0.0
    for row in range(len(predicted)):
        logits = [
            float(F.cosine_similarity(predicted[row], target[column], dim=0)) / temperature
            for column in range(len(target))
        ]
        total -= logits[row] - math.log(sum(math.exp(v) for v in logits))
    return total / len(predicted)


@pytest.mark.parametrize("dense", ["infonce", "l2"])
def test_every_part_of_the_loss(dense: str) -> None:
    model = small_generalist()
    objective = M3IObjective(model, M3IConfig(dense=dense)).eval()  # type: ignore[arg-type]
    batch = inputs()
    with torch.no_grad():
        losses = objective(model, batch)
        first, second = batch.pictures.chunk(2)
        tokens = model.encode_image(mixed(first, second, batch.chosen)).tokens
        cells = tokens[:, SMALL.pooled_tokens :]
        seen = cells_of_blocks(batch.chosen, (4, 4))
        here = cell_boxes((4, 4), cells)
        same = objective.predictor(cells, seen, here.expand(PAIRS, -1, -1), (4, 4))[~seen]
        target = objective.target(first)[~seen]
        x = represented(model, tokens, seen)
    names = {"same_view", "other_view", "category"} | ({"deviation"} if dense == "l2" else set())
    assert set(losses) == names
    squared = float(((same - target) ** 2).mean())
    expected = squared if dense == "l2" else infonce_by_hand(same, target, 0.2)
    assert float(losses["same_view"]) == pytest.approx(expected, rel=1e-4)

    with torch.no_grad():
        y = model.embed_texts(batch.texts, MATCHING)
        logits = float(model.readout.scale("classification")) * x @ y.T
    assert batch.targets is not None
    expected = 0.0
    for row, label in enumerate(batch.targets.tolist()):
        logs = logits[row].log_softmax(dim=0)
        expected -= (0.9 * float(logs[label]) + 0.1 * float(logs.mean())) / len(batch.targets)
    assert float(losses["category"]) == pytest.approx(expected, rel=1e-4)


def test_the_other_view_is_asked_for_where_it_lies_in_the_input() -> None:
    """An other view that is the input view itself is asked for at the input's own cells."""
    model = small_generalist()
    objective = M3IObjective(model, M3IConfig()).eval()
    batch = inputs()
    asked: list[Tensor] = []
    predictor = objective.predictor

    def spy(cells: Tensor, seen: Tensor, queried: Tensor, size: tuple[int, int]) -> Tensor:
        asked.append(queried)
        return CellPredictor.forward(predictor, cells, seen, queried, size)

    predictor.forward = spy  # type: ignore[method-assign]
    with torch.no_grad():
        objective(model, replace(batch, other_places=batch.places[PAIRS:]))
        objective(model, batch)
    torch.testing.assert_close(asked[1], asked[0])
    shifted = asked[3]
    place, other = batch.places[PAIRS], batch.other_places[PAIRS - PAIRS]
    x = float(other[0] + (1 - 0.125) * (other[2] - other[0]) - place[0]) / float(place[2] - place[0])
    assert float(shifted[0, 0, 0]) == pytest.approx(x, rel=1e-5)  # mirrored: its first cell is on the right


def test_texts_in_place_of_classes() -> None:
    model = small_generalist()
    objective = M3IObjective(model, M3IConfig())
    losses = objective(model, inputs(texts=True))
    assert set(losses) == {"same_view", "other_view", "text"}
    assert losses["text"].item() > 0


def test_what_gets_gradients() -> None:
    model = small_generalist().train()
    objective = M3IObjective(model, M3IConfig()).train()
    before = copy.deepcopy(objective.target.backbone.state_dict())
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(0.01)
    torch.stack(list(objective(model, inputs()).values())).sum().backward()
    assert all(p.grad is not None for p in objective.predictor.parameters())
    assert all(p.grad is None for p in objective.target.parameters())
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.backbone.parameters() if p.ndim > 1)
    after = objective.target.backbone.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    objective.eval()
    held = copy.deepcopy(after)
    objective(model, inputs())
    assert all(
        torch.equal(held[name], value) for name, value in objective.target.backbone.state_dict().items()
    )


def test_one_half_of_the_loss_alone() -> None:
    model = small_generalist()
    assert set(M3IObjective(model, M3IConfig(meaning_weight=0))(model, inputs())) == {
        "same_view",
        "other_view",
    }
    assert set(M3IObjective(model, M3IConfig(dense_weight=0))(model, inputs())) == {"category"}


def test_features_that_are_all_alike_are_punished() -> None:
    alike = torch.randn(1, 16).expand(64, -1) + 1e-4 * torch.randn(64, 16)
    spread = torch.randn(64, 16)
    assert float(deviation_loss(alike)) == pytest.approx(0.99, abs=0.01)
    assert float(deviation_loss(spread)) < 0.2
    rows = [(r - r.mean()) / math.sqrt(float(((r - r.mean()) ** 2).mean()) + 1e-5) for r in spread]
    expected = 0.0
    for channel in range(16):
        column = [float(r[channel]) for r in rows]
        mean = sum(column) / 64
        variance = sum((v - mean) ** 2 for v in column) / 63
        expected += max(0.0, 1 - math.sqrt(variance + 1e-4)) / 16
    assert float(deviation_loss(spread)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dense", ["infonce", "l2"])
def test_a_few_pictures_are_learnt(dense: str) -> None:
    torch.manual_seed(0)
    model = small_generalist().train()
    config = M3IConfig(dense=dense)  # type: ignore[arg-type]
    objective = M3IObjective(model, config).train()
    trained = [p for p in (*model.parameters(), *objective.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3)
    batch, history = inputs(), []
    for _ in range(30):
        losses = objective(model, batch)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append({name: float(value) for name, value in losses.items()})
    for name in ("same_view", "category"):
        assert history[-1][name] < 0.85 * history[0][name], name
    if dense == "l2":
        # Predicting well was not won by making all features alike.
        assert history[-1]["deviation"] < 0.9


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="dense='cosine' must be 'infonce' or 'l2'"):
        M3IConfig(dense="cosine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="momentum from 0 to 1"):
        M3IConfig(momentum=1.5)
    with pytest.raises(ValueError, match="not both 0"):
        M3IConfig(dense_weight=0, meaning_weight=0)
