# SPDX-License-Identifier: MIT
"""One set of weights: what training batches of real tasks move, and what batch, order and padding change."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from intern25.generalist.decoder import Segment
from intern25.generalist.features import ImageFeatures
from intern25.generalist.model import FAMILIES, Generalist
from intern25.generalist.routing import ANSWERING, DENSE, DETECTION, LANGUAGE, MATCHING, Routing
from intern25.generalist.tokenizer import TokenBatch
from intern25.training.generalist.packs.tiny import BUILDERS
from tests.generalist.tasks.made_tasks import TASKS, TOKENIZER
from tests.small_generalist import small_generalist

SHARED = ("backbone.", "decoder.", "text_core.", "text_projection.", "input_norm.", "special", "modality.",
          "readout.norm.", "readout.projection.")  # fmt: skip
"""What every task must train."""
HEADS = ("proposals.", "region_tokens.", "dense_head.", "vocabulary_projection.", "readout.logit_scale.",
         "readout.bias.", "readout.vocabulary_scale")  # fmt: skip
"""What only some kinds of task need: proposals, pixels, the next token, and temperatures."""
ROUTINGS = {"matching": MATCHING, "detection": DETECTION, "dense": DENSE, "answering": ANSWERING}


@functools.cache
def trained_by(task: str, bfloat16: bool) -> frozenset[str]:
    """Parameters that a training batch of the task moves."""
    model = small_generalist().train()
    made = TASKS[task]()
    batch = made.batch([0, 1, 2], 7)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        losses = made.losses(model, batch)
    total = torch.stack([loss.float() for loss in losses.values()]).sum()
    assert torch.isfinite(total)
    total.backward()
    return frozenset(
        name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.count_nonzero())
    )


def names_of(*beginnings: str) -> set[str]:
    return {name for name, _ in small_generalist().named_parameters() if name.startswith(beginnings)}


@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("task", TASKS)
def test_every_task_trains_all_that_is_shared(task: str, bfloat16: bool) -> None:
    assert names_of(*SHARED) - trained_by(task, bfloat16) == set()


def test_global_tokens_are_trained_by_all_but_the_pixels() -> None:
    own = names_of("global_tokens.")
    assert {task for task in TASKS if own <= trained_by(task, False)} == set(TASKS) - {"segment"}


def test_no_parameter_outside_the_named_heads_belongs_to_one_task() -> None:
    tasks_of = {
        name: [task for task in TASKS if name in trained_by(task, False)]
        for name, _ in small_generalist().named_parameters()
    }
    shared = {name: tasks for name, tasks in tasks_of.items() if not name.startswith(HEADS)}
    assert {name: tasks for name, tasks in shared.items() if len(tasks) < len(TASKS) - 1} == {}
    idle = {name for name, tasks in tasks_of.items() if not tasks}
    # Classification and retrieval say neither yes nor no, and nothing is said of pixels alone.
    assert idle == names_of("readout.bias.") - {"readout.bias.region"}


def test_no_key_names_a_task() -> None:
    kinds = {word for task in (*BUILDERS, *TASKS) for word in task.split("_")} - {"shapes"}
    kinds |= {"vqa", "ocr", "classification", "captioning", "detection", "segmentation", "referring"}
    state = small_generalist().state_dict()
    named = {key for key in state if kinds & set(key.replace("_", ".").split("."))}
    temperatures = {f"readout.{kind}.{family}" for kind in ("logit_scale", "bias") for family in FAMILIES}
    assert named <= temperatures
    assert all(state[key].numel() == 1 for key in temperatures)


def test_kinds_of_tasks_differ_in_every_group_of_tokens() -> None:
    kinds = (*ROUTINGS.values(), LANGUAGE)
    for group in ("image", "text", "target", "written"):
        assert len({getattr(routing, group) for routing in kinds}) == len(kinds)
    assert str(MATCHING.image) == "100110000000"
    assert str(DETECTION.image) == "100110001000"
    assert str(DENSE.target) == "100101100100"
    assert str(ANSWERING.written) == "110101010000"


def pictures(count: int = 3, size: tuple[int, int] = (64, 96)) -> Tensor:
    return torch.randn(count, 3, *size)


def texts(*words: str) -> TokenBatch:
    return TOKENIZER.encode(words, max_length=16)


def padded(batch: TokenBatch, more: int) -> TokenBatch:
    """The same texts with numbers behind them that are not present."""
    junk = torch.randint(3, 900, (len(batch.ids), more))
    absent = torch.zeros(len(batch.ids), more, dtype=torch.bool)
    return TokenBatch(torch.cat((batch.ids, junk), 1), torch.cat((batch.present, absent), 1))


@torch.no_grad()
def test_a_picture_is_the_output_of_spe_before_its_tokens() -> None:
    model = small_generalist()
    features = model.encode_image(pictures())
    rows = []
    for picture in features.tokens:
        cells = [token + model.modality.weight[1] for token in picture]
        special = model.special + model.modality.weight[0] + sum(cells) / len(cells)
        tokens = torch.stack([model.input_norm(token) for token in (special, *cells)])[None]
        states = model.decoder([Segment(tokens=tokens, attributes=MATCHING.image)])[0]
        projected = model.readout.projection(model.readout.norm(states[0, 0]))
        rows.append(projected / projected.norm())
    torch.testing.assert_close(model.embed_images(features, MATCHING), torch.stack(rows))


@torch.no_grad()
def test_a_text_is_the_output_of_spe_before_its_tokens() -> None:
    model = small_generalist()
    ids = TOKENIZER.encode(["一只红狗"], max_length=8).ids
    words = model.text_projection(model.text_core(ids))[0] + model.modality.weight[3]
    special = model.special + model.modality.weight[0] + words.sum(dim=0) / len(words)
    tokens = model.input_norm(torch.cat((special[None], words)))[None]
    states = model.decoder([Segment(tokens=tokens, attributes=MATCHING.target)])[0]
    projected = model.readout.projection(model.readout.norm(states[0, 0]))
    found = model.embed_texts(texts("一只红狗"), MATCHING)
    torch.testing.assert_close(found[0], projected / projected.norm())


@torch.no_grad()
def test_before_a_question_spe_does_not_start_from_the_mean() -> None:
    model = small_generalist()
    features = model.encode_image(pictures())
    alone, asked = (
        model.prefix(features, text, ANSWERING)[0].tokens for text in (None, texts("a", "b", "c"))
    )
    special = model.input_norm(model.special + model.modality.weight[0])
    torch.testing.assert_close(asked[:, 0], special.expand(3, -1))
    assert not torch.allclose(alone[:, 0], asked[:, 0], atol=1e-2)
    torch.testing.assert_close(alone[:, 1:], asked[:, 1:])


def _objectness(model: Generalist, images: Tensor) -> Tensor:
    proposals = model.encode_image(images, regions=None).proposals
    assert proposals is not None
    return proposals.objectness


READINGS: dict[str, Callable[[Generalist, Tensor], Tensor]] = {
    "pictures": lambda model, x: model.embed_images(model.encode_image(x), MATCHING),
    "pictures with regions": lambda model, x: model.embed_images(model.encode_image(x, regions=3), MATCHING),
    "regions": lambda model, x: model.embed_regions(model.encode_image(x, regions=None), DETECTION),
    "objectness": _objectness,
    "pixels": lambda model, x: model.encode_pixels(x),
}


@torch.no_grad()
@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
def test_a_batch_gives_what_each_picture_gives_alone_in_any_order(
    reading: Callable[[Generalist, Tensor], Tensor],
) -> None:
    model, images = small_generalist(), pictures(4)
    together = reading(model, images)
    alone = torch.cat([reading(model, image[None]) for image in images])
    assert float((together[0] - together[1]).abs().max()) > 1e-2
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=2e-5)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(reading(model, images[order]), together[order], rtol=1e-3, atol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize("routing", ROUTINGS.values(), ids=ROUTINGS)
def test_padding_and_neighbours_do_not_change_a_text(routing: Routing) -> None:
    model = small_generalist()
    words = ("cat", "一只红色的狗在草地上", "a")
    expected = torch.cat([model.embed_texts(texts(word), routing) for word in words])
    batch = texts(*words)
    for same in (batch, padded(batch, 7)):
        torch.testing.assert_close(model.embed_texts(same, routing), expected, rtol=1e-4, atol=1e-5)
    assert float((expected[0] - expected[2]).abs().max()) > 1e-2


def outputs(
    model: Generalist, features: ImageFeatures | None, asked: TokenBatch, written: TokenBatch
) -> tuple[Tensor, Tensor]:
    """Embedding of the prefix and next-token logits."""
    prefix = model.prefix(features, asked, ANSWERING)
    states = model.decoder([*prefix, model.written(written, ANSWERING)])
    return model.readout.embed(states[0][:, 0]), model.vocabulary_logits(states[-1])


@torch.no_grad()
def test_padding_of_questions_and_answers_changes_nothing() -> None:
    model = small_generalist()
    asked, said = texts("what is it", "how many cats are there on it"), texts("a dog runs", "two dogs")
    features = model.encode_image(pictures(2), regions=2)
    expected = outputs(model, features, asked, said)
    found = outputs(model, features, padded(asked, 5), padded(said, 3))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    own = found[1][:, : expected[1].shape[1]][said.present]
    torch.testing.assert_close(own, expected[1][said.present], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_questions_about_selected_pictures_equal_each_alone() -> None:
    model, images = small_generalist(), pictures(2)
    questions, owner = ("what is it", "它是什么颜色的", "how many", "where is the red one"), [1, 0, 1, 1]
    features = model.encode_image(images, regions=3).select(torch.tensor(owner))
    together = outputs(model, features, texts(*questions), texts(*["a dog"] * 4))
    for row, picture in enumerate(owner):
        one = model.encode_image(images[picture][None], regions=3)
        alone = outputs(model, one, texts(questions[row]), texts("a dog"))
        torch.testing.assert_close(together[0][row], alone[0][0], rtol=1e-3, atol=2e-5)
        torch.testing.assert_close(together[1][row], alone[1][0], rtol=1e-3, atol=2e-4)


@torch.no_grad()
def test_what_is_written_sees_the_picture_the_question_and_what_comes_before() -> None:
    model = small_generalist()
    images, asked, said = pictures(1), texts("what is it"), texts("a dog runs home")
    features = model.encode_image(images)
    prefix, logits = outputs(model, features, asked, said)
    ids = said.ids.clone()
    ids[0, -1] = 77
    changed = outputs(model, features, asked, TokenBatch(ids, said.present))
    torch.testing.assert_close(changed[0], prefix)
    torch.testing.assert_close(changed[1][:, :-1], logits[:, :-1])
    assert not torch.allclose(changed[1][:, -1], logits[:, -1], atol=1e-3)
    for other in (
        outputs(model, model.encode_image(images.flip(-1)), asked, said),
        outputs(model, features, texts("where is it"), said),
        outputs(model, None, asked, said),
    ):
        assert not torch.allclose(other[1][:, 0], logits[:, 0], atol=1e-3)
