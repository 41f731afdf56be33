# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from intern25.data.class_names import ClassNames
from intern25.detection.targets import DetectionTarget
from intern25.generalist.attributes import Attributes
from intern25.generalist.config import INTERN25_TINY
from intern25.generalist.decoder import UnifiedDecoder
from intern25.generalist.model import FAMILIES, Generalist
from intern25.generalist.presets import GENERALISTS
from intern25.generalist.proposal_criterion import ProposalCriterion
from intern25.generalist.routing import ANSWERING, DENSE, DETECTION, LANGUAGE, MATCHING, Routing
from intern25.generalist.tasks.detection import proposal_targets
from intern25.generalist.tokenizer import TokenBatch, Tokenizer
from tests.generalist.small_model import SMALL, small_generalist

NAMES = ClassNames(en=("red car", "dog"), zh=("红色的汽车", "狗"))


def tokens(*texts: str) -> TokenBatch:
    return Tokenizer.packaged().encode(texts, max_length=32)


def pictures(number: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(number, 3, 64, 96, generator=torch.Generator().manual_seed(seed))


def _match(model: Generalist) -> Tensor:
    x = model.embed_images(model.encode_image(pictures()), MATCHING)
    y = model.embed_texts(tokens(*NAMES.en), MATCHING)
    return model.readout.contrastive_loss(x, y, "classification")


def _detect(model: Generalist) -> Tensor:
    target = DetectionTarget(boxes=torch.tensor([[10.0, 10, 40, 40]]), labels=torch.tensor([0]))
    targets = proposal_targets([target, target], (64, 96))
    features = model.encode_image(pictures(), regions=None, targets=targets)
    assert features.proposals is not None
    regions = model.embed_regions(features, DETECTION)
    logits = model.readout.sigmoid_logits(regions, model.embed_texts(tokens(*NAMES.zh), DETECTION), "region")
    terms = ProposalCriterion()(features.proposals, targets).terms
    return torch.stack([*terms.values(), logits.square().mean()]).sum()


def _segment(model: Generalist) -> Tensor:
    pixels, names = model.encode_pixels(pictures()), model.embed_texts(tokens(*NAMES.en), DENSE)
    return torch.einsum("ndhw,kd->nkhw", pixels, names).square().mean()


def _write(model: Generalist) -> Tensor:
    features = model.encode_image(pictures(), regions=4)
    prefix = model.prefix(features, tokens("what is it", "这是什么"), ANSWERING)
    outputs = model.decoder([*prefix, model.written(tokens("a dog", "一只狗"), ANSWERING)])
    choice = model.readout.embed(outputs[0][:, 0]) @ model.embed_texts(tokens("yes", "no"), MATCHING).T
    return model.vocabulary_logits(outputs[-1]).logsumexp(-1).mean() + choice.square().mean()


TASKS: dict[str, Callable[[Generalist], Tensor]] = {
    "match": _match,
    "detect": _detect,
    "segment": _segment,
    "write": _write,
}
SHARED = {
    "match": ("backbone", "global_tokens", "decoder", "text_core", "text_projection", "readout.projection"),
    "detect": ("backbone", "global_tokens", "decoder", "text_core", "text_projection", "readout.projection"),
    # Pixels are too many for the decoder: they meet names that have been through it.
    "segment": ("backbone", "decoder", "text_core", "text_projection", "readout.projection"),
    "write": ("backbone", "global_tokens", "decoder", "text_core", "text_projection", "readout.projection"),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_trains_the_shared_parts(task: str) -> None:
    model = small_generalist().train()
    TASKS[task](model).backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    for part in SHARED[task]:
        assert any(name.startswith(part) for name in moved), f"{task} does not train {part}"


def test_no_parameter_belongs_to_the_trunk_of_one_task() -> None:
    """What only some tasks touch are the named heads: proposals, their tokens, pixels, temperatures."""
    touched = {}
    for task, loss in TASKS.items():
        model = small_generalist().train()
        loss(model).backward()
        touched[task] = {name for name, p in model.named_parameters() if p.grad is not None}
    trunk = [
        name
        for name, _ in model.named_parameters()
        if name.startswith(("backbone", "decoder", "text_", "input_norm", "modality", "readout.projection"))
    ]
    experts = (".qkv.", ".out.", ".fc1.", ".fc2.")
    for name in trunk:
        if name.startswith("decoder") and any(part in name for part in experts):
            continue  # which experts are merged depends on the task; all share one table
        assert all(name in found for found in touched.values()), name
    words = ("vqa", "caption", "retriev", "classif", "reading", "ocr", "referring")
    named = [name for name in model.state_dict() if any(word in name for word in words)]
    assert set(named) <= {
        f"readout.{kind}.{family}" for kind in ("logit_scale", "bias") for family in FAMILIES
    }


def test_tasks_route_to_different_experts() -> None:
    groups = {
        getattr(routing, name)
        for routing in (MATCHING, DETECTION, DENSE, ANSWERING, LANGUAGE)
        for name in Routing.__dataclass_fields__
    }
    assert len(groups) >= 15
    torch.manual_seed(0)
    decoder = UnifiedDecoder(INTERN25_TINY)
    chosen = {}
    for attributes in (MATCHING.image, MATCHING.target, DETECTION.image, ANSWERING.written, DENSE.target):
        router = decoder.layers[0].eval().attention_router
        assert isinstance(attributes, Attributes)
        chosen[attributes] = tuple(sorted(router(attributes).experts))
    assert len(set(chosen.values())) > 1


def test_detection_is_marked_in_all_of_its_groups() -> None:
    assert DETECTION.image == Attributes(input_image=True, target_text=True, image_token=True, detection=True)
    assert all(getattr(DENSE, name).dense for name in Routing.__dataclass_fields__)
    assert not MATCHING.image.detection


@torch.no_grad()
def test_a_batch_gives_what_single_pictures_give() -> None:
    model, images = small_generalist(), pictures(3)
    together = model.encode_image(images, regions=4)
    for row in range(3):
        alone = model.encode_image(images[row : row + 1], regions=4)
        for embed in (model.embed_images, model.embed_regions):
            expected = embed(together, DETECTION)[row]
            torch.testing.assert_close(embed(alone, DETECTION)[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_padding_of_texts_changes_nothing() -> None:
    model = small_generalist()
    short, long = "dog", "a very long description of a street with many cars"
    together = model.embed_texts(tokens(short, long), MATCHING)
    alone = model.embed_texts(tokens(short), MATCHING)
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(2))


@torch.no_grad()
def test_several_questions_about_one_picture_equal_each_alone() -> None:
    model = small_generalist()
    features = model.encode_image(pictures(2))
    owner = torch.tensor([1, 0, 1])
    asked = tokens("what is it", "where", "哪个方向")
    together = model.decoder(model.prefix(features.select(owner), asked, ANSWERING))[0][:, 0]
    for row, picture in enumerate(owner.tolist()):
        one = TokenBatch(asked.ids[row : row + 1], asked.present[row : row + 1])
        alone = model.decoder(model.prefix(features.select(torch.tensor([picture])), one, ANSWERING))[0][0, 0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)


def test_regions_must_be_asked_for() -> None:
    model = small_generalist()
    with pytest.raises(ValueError, match="regions="):
        model.embed_regions(model.encode_image(pictures(1)), DETECTION)


PARAMETERS = {
    "intern25_tiny": 12_449_972,
    "intern25_small": 113_847_100,
    "intern25_base": 440_615_416,
    "intern25_large": 947_268_298,
    "intern25_huge": 3_137_626_312,
    "intern25_giant": 9_675_253_144,
}


@pytest.mark.parametrize("name", GENERALISTS)
def test_sizes_of_the_presets(name: str) -> None:
    with torch.device("meta"):
        model = Generalist(GENERALISTS[name])
    number = sum(parameter.numel() for parameter in model.parameters())
    assert number == PARAMETERS[name]
    if name == "intern25_tiny":
        stored = sum(tensor.numel() for tensor in model.state_dict().values())
        assert stored <= 12_450_000, "25 MB in half precision"


def test_a_configuration_that_cannot_be() -> None:
    import dataclasses

    for change, message in (
        ({"heads": 5}, "heads=5"),
        ({"active_experts": 9}, "active_experts=9"),
        ({"global_stage": 1}, "global_stage=1"),
        ({"region_tokens": 99}, "region_tokens=99"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(SMALL, **change)
