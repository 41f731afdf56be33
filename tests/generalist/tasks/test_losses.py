# SPDX-License-Identifier: MIT
"""The loss of each kind of task against one that is written out for a batch made by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.data.multimodal.records import Reference
from intern25.data.picture_views import normalised
from intern25.generalist.features import ImageFeatures
from intern25.generalist.model import Generalist
from intern25.generalist.proposal_criterion import ProposalLosses, ProposalMatches
from intern25.generalist.proposal_targets import ProposalTargets
from intern25.generalist.proposals import Proposals
from intern25.generalist.routing import ANSWERING, DENSE, DETECTION, MATCHING
from intern25.generalist.tasks import classification
from intern25.generalist.tasks.detection import NAME_WEIGHT, DetectionTask
from intern25.generalist.tasks.questions import AskedPictures
from intern25.generalist.tasks.referring import ReferringTask
from intern25.generalist.tasks.writing import WritingBatch, WritingTask
from intern25.generalist.tokenizer import TokenBatch
from tests.generalist.tasks.made_tasks import (
    COLOURS,
    TASKS,
    TOKENIZER,
    Squares,
    answer,
    asked,
    classify,
    detect,
    refer,
    retrieve,
    segment,
)
from tests.small_generalist import small_generalist


def smoothed_entropy(logits: Tensor, target: int) -> float:
    """Cross entropy with a tenth of the target spread over all classes."""
    log_probability = [float(value) - math.log(sum(math.exp(float(v)) for v in logits)) for value in logits]
    wanted = [0.1 / len(logits) + (0.9 if index == target else 0.0) for index in range(len(logits))]
    return -sum(w * p for w, p in zip(wanted, log_probability, strict=True))


@torch.no_grad()
@pytest.mark.parametrize("mix", [0.0, 1.0], ids=["plain", "cutmix"])
def test_classification_is_cross_entropy_over_all_names(mix: float) -> None:
    model, task = small_generalist(), classify(mix=mix)
    batch = task.batch([0, 1, 5], 3)
    x = model.embed_images(model.encode_image(batch.pictures), MATCHING)
    y = model.embed_texts(batch.names, MATCHING)
    logits = float(model.readout.logit_scale["classification"].exp()) * x @ y.T
    own = [smoothed_entropy(row, target) for row, target in zip(logits, (0, 1, 2), strict=True)]
    other = [smoothed_entropy(row, target) for row, target in zip(logits, (2, 1, 0), strict=True)]
    assert (batch.share < 1) == bool(mix)
    expected = sum(batch.share * a + (1 - batch.share) * b for a, b in zip(own, other, strict=True)) / 3
    assert float(task.losses(model, batch)["classification"]) == pytest.approx(expected, rel=1e-4)


def test_cutmix_covers_the_share_it_states() -> None:
    import random

    pictures = torch.arange(4.0)[:, None, None, None].expand(-1, 3, 60, 80).clone()
    share = classification._cut_and_paste(pictures, random.Random(4))
    for row, picture in enumerate(pictures):
        kept = float((picture == row).float().mean())
        assert kept == pytest.approx(share)
        assert float((picture == 3 - row).float().mean()) == pytest.approx(1 - share)
    assert 0.05 < share < 0.95


def test_names_come_in_both_languages() -> None:
    task = classify()
    seen = {tuple(map(TOKENIZER.decode, task.batch([0], seed).names.ids)) for seed in range(40)}
    assert {COLOURS.en, COLOURS.zh} <= seen


@torch.no_grad()
def test_retrieval_counts_every_caption_of_a_picture_as_right() -> None:
    model, task = small_generalist(), retrieve()
    batch = next(b for b in (task.batch([0, 1, 3, 0], seed) for seed in range(50)) if _two_alike(b.texts.ids))
    assert batch.same is not None
    texts = [TOKENIZER.decode(ids) for ids in batch.texts.ids]
    own = [{_as_read(item.text) for item in task.train.items(index)} for index in (0, 1, 3, 0)]
    alike = [[text in captions for text in texts] for captions in own]
    assert batch.same.tolist() == alike
    x = model.embed_images(model.encode_image(batch.pictures), MATCHING)
    y = model.embed_texts(batch.texts, MATCHING)
    logits = float(model.readout.logit_scale["retrieval"].exp()) * x @ y.T
    total = 0.0
    for scores, right in ((logits, torch.tensor(alike)), (logits.T, torch.tensor(alike).T)):
        for row, matches in zip(scores, right, strict=True):
            wanted = 0.9 * matches / matches.sum() + 0.1 / 4
            total -= float((wanted * row.log_softmax(0)).sum()) / 8
    assert float(task.losses(model, batch)["retrieval"]) == pytest.approx(total, rel=1e-4)


def _as_read(text: str) -> str:
    return TOKENIZER.decode(TOKENIZER.encode([text], max_length=40).ids[0])


def _two_alike(ids: Tensor) -> bool:
    """Whether the captions of pictures 0 and 3, of one colour, are equal, but no others."""
    rows = [tuple(row) for row in ids.tolist()]
    return rows[0] == rows[2] and len(set(rows)) == 3


def test_different_pictures_and_captions_need_no_table() -> None:
    batches = [retrieve().batch([0, 1], seed) for seed in range(5)]
    assert all(batch.same is None for batch in batches)


def ids_of(text: str) -> list[int]:
    return TOKENIZER.encode([text], max_length=8).ids[0].tolist()


def test_what_is_written_is_shifted_by_one() -> None:
    batch = answer().batch([0, 1], 5)
    assert batch.candidates is not None
    assert batch.owner.tolist() == [0, 0, 1, 1]
    prompts = [TOKENIZER.decode(ids) for ids in batch.prompts.ids]
    for row, (prompt, picture) in enumerate(zip(prompts, (0, 0, 1, 1), strict=True)):
        wanted = COLOURS.en[picture] if "left" in prompt else COLOURS.zh[picture + 1]
        tokens = ids_of(wanted)
        length = int(batch.inputs.present[row].sum())
        assert batch.inputs.ids[row, :length].tolist() == [TOKENIZER.spe_id, *tokens]
        assert batch.targets[row, :length].tolist() == [*tokens, TOKENIZER.end_id]
        assert bool((batch.targets[row, length:] == -100).all())
        assert TOKENIZER.decode(batch.candidates.ids[batch.answer[row]]) == wanted
    candidates = [TOKENIZER.decode(ids) for ids in batch.candidates.ids]
    assert len(set(candidates)) == len(candidates) >= 4


@torch.no_grad()
@pytest.mark.parametrize("regions", [0, 3])
def test_writing_is_next_token_entropy_and_a_choice(regions: int) -> None:
    model, task = small_generalist(), answer(regions=regions)
    batch = task.batch([2, 1], 5)
    assert batch.candidates is not None
    y = model.embed_texts(batch.candidates, MATCHING)
    entropy, choice, tokens = 0.0, 0.0, 0
    for row, picture in enumerate(batch.owner.tolist()):
        features = model.encode_image(batch.pictures[picture][None], regions=regions)
        prompt = TokenBatch(batch.prompts.ids[row][batch.prompts.present[row]][None], torch.ones(1, 1).bool())
        prompt = replace(prompt, present=torch.ones_like(prompt.ids, dtype=torch.bool))
        prefix = model.prefix(features, prompt, ANSWERING)
        said = batch.targets[row][batch.targets[row] != -100].tolist()
        for place, token in enumerate(said):
            ids = torch.tensor([[TOKENIZER.spe_id, *said[:place]]])
            written = model.written(TokenBatch(ids, torch.ones_like(ids, dtype=torch.bool)), ANSWERING)
            outputs = model.decoder([*prefix, written])
            entropy -= float(model.vocabulary_logits(outputs[-1][0, -1]).log_softmax(0)[token])
            tokens += 1
        scores = model.readout.embed(outputs[0][0, 0]) @ y.T * model.readout.logit_scale["answer"].exp()
        choice -= float(scores.log_softmax(0)[batch.answer[row]])
    losses = task.losses(model, batch)
    assert float(losses["next_token"]) == pytest.approx(entropy / tokens, rel=1e-4)
    assert float(losses["answer"]) == pytest.approx(choice / len(batch.owner), rel=1e-4)


def without_questions(*without: int, count: int = 4) -> WritingTask:
    task = answer(count)
    task.train = AskedPictures(asked(count, without=without))
    return task


def test_pictures_without_questions_are_left_out() -> None:
    task = without_questions(1, 3)
    batch = task.batch([1, 0, 3, 2], 0)
    assert len(batch.images) == 2
    assert batch.owner.tolist() == [0, 0, 1, 1]
    expected = [task.view(Squares(4).pixels(index), 0) for index in (0, 2)]
    for picture, own in zip(batch.images, expected, strict=True):
        assert float((picture.float() - own.float()).abs().mean()) < 25  # the same squares, moved a little


def test_a_batch_whose_pictures_have_no_questions_takes_the_next() -> None:
    batch = without_questions(0, 1, 2).batch([0, 1], 0)
    assert isinstance(batch, WritingBatch)
    assert set(map(TOKENIZER.decode, batch.prompts.ids)) == {"what is on the left", "右边是什么"}
    losses = without_questions(0, 1, 2).losses(small_generalist(), batch)
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())


def test_data_without_any_question_are_an_error() -> None:
    with pytest.raises(ValueError, match="no picture of the task answer has a question"):
        without_questions(0, 1, 2, 3).batch([0, 1], 0)


class Told(torch.nn.Module):
    """A criterion whose matches are given."""

    def __init__(self, pairs: list[tuple[int, int, int]]) -> None:
        super().__init__()
        self.pairs = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 3)

    def forward(self, proposals: Proposals, targets: list[ProposalTargets]) -> ProposalLosses:
        pictures, queries, objects = self.pairs.T
        terms = {"loss_box": proposals.boxes.sum() * 0}
        matches = ProposalMatches(
            pictures=pictures, queries=queries, objects=objects, overlaps=torch.ones(len(self.pairs))
        )
        return ProposalLosses(terms=terms, matches=matches)


def told_detection(pairs: list[tuple[int, int, int]]) -> DetectionTask:
    task = detect()
    task.criterion = Told(pairs)  # type: ignore[assignment]
    return task


def region_logits(model: Generalist, images: Tensor, texts: TokenBatch) -> Tensor:
    features = model.encode_image(images, regions=None)
    x, y = model.embed_regions(features, DETECTION), model.embed_texts(texts, DETECTION)
    return float(model.readout.logit_scale["region"].exp()) * x @ y.T


@torch.no_grad()
@pytest.mark.parametrize("pairs", [[(0, 5, 1), (0, 2, 0), (1, 0, 1)], []], ids=["three", "none"])
def test_matched_proposals_learn_the_name_of_their_object(pairs: list[tuple[int, int, int]]) -> None:
    model, task = small_generalist(), told_detection(pairs)
    batch = task.batch([1, 0], 3)
    logits = region_logits(model, batch.pictures, batch.names) + model.readout.bias["region"]
    # Objects keep their order: the colour on the left of picture i is i modulo 3, the other the next.
    colours = [[int(label) for label in target.labels] for target in batch.targets]
    assert colours == [[1, 2], [0, 1]]
    labels = {(picture, query): colours[picture][number] for picture, query, number in pairs}
    total = 0.0
    for (picture, query, name), logit in np.ndenumerate(logits.numpy()):
        p = 1 / (1 + math.exp(-logit))
        if labels.get((picture, query)) == name:
            total -= 0.25 * (1 - p) ** 2 * math.log(p)
        else:
            total -= 0.75 * p**2 * math.log(1 - p)
    expected = NAME_WEIGHT * total / max(len(pairs), 1)
    assert float(task.losses(model, batch)["name"]) == pytest.approx(expected, rel=1e-3)


def test_boxes_and_masks_of_a_batch_are_those_of_its_pixels() -> None:
    batch = detect().batch([0, 4], 1)
    pictures = batch.pictures
    for picture, target in zip(pictures, batch.targets, strict=True):
        assert target.masks is not None
        assert target.masks.shape[1:] == picture.shape[1:]
        for box, mask, label in zip(target.boxes, target.masks, target.labels, strict=True):
            left, top, right, bottom = box.int().tolist()
            inside = picture[:, top + 1 : bottom - 1, left + 1 : right - 1].mean(dim=(1, 2))
            assert int(inside.argmax()) == int(label)
            assert bool(mask[top:bottom, left:right].bool().all())
            assert int(mask.sum()) == (bottom - top) * (right - left)


def test_detection_without_objects_or_masks_still_trains() -> None:
    model = small_generalist().train()
    task = detect(masks=False)
    batch = task.batch([0, 1], 0)
    batch.targets = [replace(t, boxes=t.boxes[:0], labels=t.labels[:0], masks=None) for t in batch.targets]
    total = torch.stack(list(task.losses(model, batch).values())).sum()
    total.backward()
    assert bool(torch.isfinite(total))
    gradient = next(model.backbone.parameters()).grad
    assert gradient is not None
    assert bool(gradient.any())


def told_referring(pairs: list[tuple[int, int, int]]) -> ReferringTask:
    task = refer()
    task.criterion = Told(pairs)  # type: ignore[assignment]
    return task


@torch.no_grad()
def test_referring_picks_the_region_matched_to_what_is_meant() -> None:
    # The second object of the first picture is not matched, so its phrase learns nothing.
    model, task = small_generalist(), told_referring([(0, 6, 0), (1, 3, 1), (1, 1, 0)])
    batch = task.batch([0, 1], 0)
    assert batch.owner.tolist() == [0, 0, 1, 1]
    assert batch.meant.tolist() == [0, 1, 0, 1]
    logits = region_logits(model, batch.pictures, batch.phrases)
    entropies = [
        -float(logits[picture, :, phrase].log_softmax(0)[query])
        for phrase, picture, query in ((0, 0, 6), (2, 1, 1), (3, 1, 3))
    ]
    assert float(task.losses(model, batch)["refer"]) == pytest.approx(sum(entropies) / 3, rel=1e-4)


@pytest.mark.parametrize("phrases", [True, False])
def test_referring_has_the_same_terms_where_nothing_is_matched_or_said(phrases: bool) -> None:
    class Silent(Squares):
        def sample(self, index: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[Reference]]:
            return (*super().sample(index, seed)[:2], [])

    model, task = small_generalist().train(), told_referring([])
    if not phrases:
        task.train = Silent(4)
    losses = task.losses(model, task.batch([0, 1], 0))
    assert list(losses) == ["loss_box", "refer"]
    assert losses["refer"].item() == 0.0
    losses["refer"].backward()
    assert model.text_core.embedding.weight.grad is not None


@torch.no_grad()
def test_referring_is_scored_by_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    from intern25.generalist.tasks import referring

    class Knowing:
        """Proposes the squares of a picture, the right one last."""

        device = torch.device("cpu")

        def encode_image(self, images: Tensor, *, regions: None) -> ImageFeatures:
            boxes = torch.tensor([Squares(3).boxes(index) for index in range(len(images))]) / 64
            centres = torch.cat(((boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]), -1)
            return ImageFeatures(tokens=images, proposals=type("Found", (), {"boxes": centres}))  # type: ignore[arg-type]

    # Phrases mean the objects 0, 1, 0, 1, 0, 1; the first and the last are found wrong.
    monkeypatch.setattr(
        referring, "_scores", lambda *a: F.one_hot(torch.tensor([1, 1, 0, 1, 0, 0]), 2).float()
    )
    assert refer().evaluate(Knowing()) == {"accuracy50": pytest.approx(4 / 6)}  # type: ignore[arg-type]


@torch.no_grad()
def test_segmentation_leaves_out_pixels_without_a_class() -> None:
    model, task = small_generalist(), segment()
    task.class_weights = (1.0, 2.0, 0.5)
    batch = task.batch([0, 1], 2)
    y = model.embed_texts(batch.names, DENSE)
    pixels = F.normalize(model.encode_pixels(batch.pictures), dim=1)
    scores = float(model.readout.logit_scale["dense"].exp()) * torch.einsum("ndhw,kd->nkhw", pixels, y)
    whole = F.interpolate(scores, size=batch.masks.shape[1:], mode="bilinear", align_corners=False)
    total, weights = 0.0, (1.0, 2.0, 0.5)
    for (row, i, j), label in np.ndenumerate(batch.masks.numpy()):
        if label != 255:
            total -= weights[label] * float(whole[row, :, i, j].log_softmax(0)[label])
    losses = task.losses(model, batch)
    assert float(losses["loss_ce"]) == pytest.approx(total / batch.masks.numel(), rel=1e-3)
    elsewhere = batch.pictures.clone()
    changed = replace(batch, images=elsewhere, masks=torch.full_like(batch.masks, 255))
    assert float(task.losses(model, changed)["loss_ce"]) == 0.0


def test_pictures_travel_as_bytes() -> None:
    batch = classify().batch([0, 1], 0)
    assert batch.images.dtype == torch.uint8
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    for channel in range(3):
        expected = (batch.images[:, channel].float() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(batch.pictures[:, channel], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(normalised(batch.images), batch.pictures)


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_moves_with_all_its_parts(task: str) -> None:
    batch = TASKS[task]().batch([0, 1], 0).to(torch.device("meta"))
    tensors: list[Tensor] = []

    def collect(value: object) -> None:
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif hasattr(value, "__dataclass_fields__"):
            for name in value.__dataclass_fields__:
                collect(getattr(value, name))

    collect(batch)
    assert len(tensors) >= 3
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_follows_from_its_pictures_and_seed(task: str) -> None:
    made = TASKS[task]()
    one, same, other = (made.batch([0, 1], seed) for seed in (3, 3, 4))
    assert torch.equal(one.images, same.images)
    assert task == "refer" or not torch.equal(one.images, other.images)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_scores_held_out_pictures_between_0_and_1(task: str) -> None:
    figures = TASKS[task]().evaluate(small_generalist())
    assert figures
    assert all(0.0 <= figure <= 1.0 for figure in figures.values())


def test_detection_has_the_losses_of_proposals_and_names() -> None:
    batch = detect().batch([0, 1], 0)
    terms = detect().losses(small_generalist(), batch)
    assert {"loss_objectness", "loss_box", "loss_giou", "loss_mask", "loss_dice", "name"} <= set(terms)


def test_questions_are_asked_at_every_size_as_often() -> None:
    task = answer()
    task.other_sizes = ((32, 96), (64, 32))
    seen = Counter(tuple(task.batch([0], seed=seed).images.shape[-2:]) for seed in range(90))
    assert seen.keys() == {(64, 64), (32, 96), (64, 32)}
    assert min(seen.values()) > 15
    assert task.settings() == {"ask_sizes": ((64, 64), (32, 96), (64, 32))}


def test_half_of_the_batches_have_names_in_a_sentence() -> None:
    task = classify()
    seen = Counter(TOKENIZER.decode(task.batch([0], seed=seed).names.ids[2].tolist()) for seed in range(300))
    bare, dressed = (
        {"blue", "蓝"},
        {"a photo of a blue", "一张蓝的照片", "图中有蓝", "there is a blue in the picture"},
    )
    assert bare | dressed <= seen.keys()
    assert 0.4 < sum(seen[name] for name in bare) / 300 < 0.6
