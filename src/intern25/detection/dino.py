# SPDX-License-Identifier: MIT
"""DINO with four scales: detection by queries, trained with contrastive denoising, no NMS."""

# N batch, P denoising queries, Q object queries, K classes

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from intern25.backbones.internimage import InternImage
from intern25.detection.composite import CompositeInternImage
from intern25.detection.dino_config import DINOConfig
from intern25.detection.dino_criterion import (
    Losses,
    Objects,
    Size,
    assign,
    denoising_assignment,
    federated_class_mask,
    set_losses,
)
from intern25.detection.dino_neck import ChannelMapper
from intern25.detection.dino_transformer import (
    DINODecoder,
    QuerySelection,
    Selection,
    coordinate_dtype,
    flatten_levels,
)
from intern25.detection.targets import DetectionTarget
from intern25.layers.boxes import clip_boxes, cxcywh_to_xyxy
from intern25.layers.deformable_encoder import DeformableEncoder
from intern25.layers.denoising import PADDING, Denoising, blocked_attention, denoising_queries
from intern25.results import Detections

BRANCH_WEIGHTS = (0.5, 1.0)
"""Weights of the losses on the assisting and on the lead backbone of a composite."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DINOOutput:
    """Predictions of every decoder layer; denoising queries come first."""

    logits: Tensor
    """``(layers, N, P + Q, K)``."""
    boxes: Tensor
    """``(layers, N, P + Q, 4)`` centre x, centre y, width, height as shares of the un-padded picture."""
    references: Tensor
    """``(layers + 1, N, P + Q, 4)`` boxes before the first and behind each layer."""
    selection: Selection
    """Cells chosen as object queries."""
    memory: Tensor
    """``(N, S, C)`` output of the encoder."""


class DINO(nn.Module):
    """DINO detector on InternImage or any backbone that returns NCHW maps and has ``feature_info``.

    Convention:
        - boxes are (left, top, right, bottom); targets in input pixels, results in original pixels.
        - sizes are (height, width); padding stands at the right and at the bottom.

    Args:
        config: Architecture, such as ``DINO_T``.
        backbone: Another backbone in place of ``config.backbone``; its ``feature_info`` gives the channels.

    Example:
        >>> from intern25.detection.dino_config import DINO_NANO
        >>> model = DINO(DINO_NANO).eval()
        >>> images = torch.zeros(1, 3, 128, 160)
        >>> (found,) = model(images, image_sizes=[(120, 150)], original_sizes=[(240, 300)])
        >>> found.boxes.shape
        (100, 4)

    Source:
        DINO, arXiv:2203.03605.
    """

    class_frequencies: Tensor | None
    """``(K,)`` pictures of every class; used by the federated loss alone."""

    def __init__(self, config: DINOConfig, *, backbone: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.num_classes = config.num_classes
        self.backbone = _default_backbone(config) if backbone is None else backbone
        channels = self.backbone.feature_info.channels()  # type: ignore[union-attr, operator]
        self.neck = ChannelMapper(channels, config.channels, config.levels)
        self.level_embedding = nn.Parameter(torch.empty(config.levels, config.channels))
        nn.init.normal_(self.level_embedding)
        self.encoder = DeformableEncoder(
            config.channels,
            heads=config.heads,
            levels=config.levels,
            points=config.points,
            feedforward=config.feedforward,
            feedforward_slices=config.feedforward_slices,
            layers=config.encoder_layers,
        )
        self.query_selection = QuerySelection(config)
        self.decoder = DINODecoder(config)
        self.label_embedding = nn.Embedding(config.num_classes, config.channels)
        self.register_buffer("class_frequencies", None, persistent=False)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute backbone blocks and encoder layers in the backward pass."""
        if hasattr(self.backbone, "set_grad_checkpointing"):
            self.backbone.set_grad_checkpointing(enable)  # type: ignore[operator]
        self.encoder.grad_checkpointing = enable

    def set_class_frequencies(self, counts: Sequence[int]) -> None:
        """Tell the federated loss in how many pictures each class occurs.

        Raises:
            ValueError: There is not one count a class.
        """
        if len(counts) != self.num_classes:
            raise ValueError(f"got {len(counts)} counts for {self.num_classes} classes")
        self.class_frequencies = torch.tensor(counts, dtype=torch.float32, device=self.level_embedding.device)

    def forward(
        self,
        images: Tensor,
        image_sizes: Sequence[Size] | None = None,
        original_sizes: Sequence[Size] | None = None,
        targets: Sequence[DetectionTarget] | None = None,
    ) -> list[Detections] | Losses:
        """Detect, or learn.

        Args:
            images: Normalised ``(N, 3, H, W)``, padded with zeros at the right and at the bottom.
            image_sizes: Un-padded sizes; None = no padding.
            original_sizes: Sizes before resizing, in whose pixels boxes are returned; None = ``image_sizes``.
            targets: Objects of every picture, to learn from.

        Returns:
            One result a picture; with ``targets`` a dict of weighted losses whose sum is to be minimised.

        Raises:
            ValueError: The arguments disagree, or the predictions are not finite.
        """
        sizes = _check_sizes(images, image_sizes, "image_sizes")
        if targets is not None:
            return self.compute_losses(images, sizes, targets)
        if self.training:
            raise ValueError("in training mode give targets, or call eval() to detect")
        output = self.predict(images, sizes)
        originals = (
            sizes if original_sizes is None else _check_sizes(images, original_sizes, "original_sizes", False)
        )
        return self.detections(output, sizes, originals)

    def predict(self, images: Tensor, image_sizes: Sequence[Size] | None = None) -> DINOOutput:
        """Raw predictions of all layers, without denoising queries; arguments as :meth:`forward`."""
        sizes = _check_sizes(images, image_sizes, "image_sizes")
        return self.transform(self.backbone(images), _padding_mask(images, sizes))

    def transform(
        self, maps: Sequence[Tensor], padding_mask: Tensor, denoising: Denoising | None = None
    ) -> DINOOutput:
        """Everything behind the backbone.

        Args:
            maps: NCHW maps of the backbone.
            padding_mask: ``(N, H, W)`` bool of the pictures, True where padded.
            denoising: Queries to put in front of the object queries.
        """
        tokens = flatten_levels(self.neck(maps), self.level_embedding, padding_mask)
        memory = self.encoder(
            tokens.content,
            tokens.position,
            tokens.spatial_shapes,
            tokens.reference_points,
            tokens.padding_mask,
        )
        selection = self.query_selection(memory, tokens)
        count = selection.indices.shape[1]
        queries = self.query_selection.content[:count].expand(len(memory), -1, -1)
        references = selection.references.detach()
        blocked = None
        if denoising is not None:
            # Also without any object: the table must be part of the graph in every process.
            embedded = self.label_embedding(denoising.labels.clamp(min=0))
            embedded = embedded * (denoising.labels != PADDING)[..., None]
            queries = torch.cat((embedded.to(queries.dtype), queries), dim=1)
            references = torch.cat((denoising.references.to(references.dtype), references), dim=1)
            blocked = blocked_attention(denoising, count)
        logits, boxes, starts = self.decoder(queries, references.sigmoid(), memory, tokens, blocked)
        return DINOOutput(logits=logits, boxes=boxes, references=starts, selection=selection, memory=memory)

    @torch.no_grad()
    def detections(
        self, output: DINOOutput, image_sizes: Sequence[Size], original_sizes: Sequence[Size]
    ) -> list[Detections]:
        """The best ``max_detections`` pairs of query and class of the last layer, in original pixels."""
        scores = output.logits[-1].to(coordinate_dtype(output.logits)).sigmoid().flatten(1)
        scores, pairs = scores.topk(min(self.config.max_detections, scores.shape[1]), dim=1)
        labels = pairs % self.num_classes
        results = []
        for index, (size, original) in enumerate(zip(image_sizes, original_sizes, strict=True)):
            boxes = output.boxes[-1, index, pairs[index] // self.num_classes]
            scale = boxes.new_tensor((size[1], size[0], size[1], size[0]))
            boxes = clip_boxes(cxcywh_to_xyxy(boxes) * scale, size)
            boxes = boxes / (scale / boxes.new_tensor((original[1], original[0], original[1], original[0])))
            kept = scores[index] >= self.config.score_threshold
            results.append(
                Detections(
                    boxes=boxes[kept].float().cpu().numpy(),
                    scores=scores[index, kept].float().cpu().numpy(),
                    labels=labels[index, kept].cpu().numpy(),
                    size=original,
                )
            )
        return results

    def compute_losses(
        self,
        images: Tensor,
        image_sizes: Sequence[Size],
        targets: Sequence[DetectionTarget],
        *,
        denoising: Denoising | None = None,
        generator: torch.Generator | None = None,
    ) -> Losses:
        """Weighted losses of a batch.

        Args:
            images: As :meth:`forward`.
            image_sizes: Un-padded sizes.
            targets: Objects of every picture.
            denoising: Denoising queries; None = noise drawn from ``generator``.
            generator: Source of randomness on the images' device; None = the global one.

        Returns:
            ``loss_class``, ``loss_box``, ``loss_giou`` of the last layer; the same names behind ``decoder0.``
            and so on for the layers before it, ``encoder.`` for the selected cells, ``denoising.`` for the
            denoising queries; and all again behind ``assisting.`` for the first backbone of a composite.
        """
        if len(targets) != len(images):
            raise ValueError(f"got {len(targets)} targets for {len(images)} images")
        like = torch.empty(0, dtype=coordinate_dtype(images), device=images.device)
        objects = [Objects.of(target, size, like) for target, size in zip(targets, image_sizes, strict=True)]
        self._check_labels(objects)
        padding_mask = _padding_mask(images, image_sizes)
        if not self.config.composite or not isinstance(self.backbone, CompositeInternImage):
            return self._branch_losses(self.backbone(images), padding_mask, objects, denoising, generator)
        losses: Losses = {}
        branches = zip(
            ("assisting.", ""), BRANCH_WEIGHTS, self.backbone.forward_branches(images), strict=True
        )
        for prefix, weight, maps in branches:
            branch = self._branch_losses(maps, padding_mask, objects, denoising, generator)
            losses.update({prefix + name: weight * loss for name, loss in branch.items()})
        return losses

    def _branch_losses(
        self,
        maps: Sequence[Tensor],
        padding_mask: Tensor,
        objects: Sequence[Objects],
        denoising: Denoising | None,
        generator: torch.Generator | None,
    ) -> Losses:
        """Losses of one set of backbone maps."""
        config = self.config
        if denoising is None:
            denoising = denoising_queries(
                [item.boxes for item in objects],
                [item.labels for item in objects],
                num_classes=config.num_classes,
                num_denoising=config.num_denoising,
                label_noise=config.label_noise,
                box_noise=config.box_noise,
                generator=generator,
            )
        mask = None
        if config.federated_classes is not None:
            mask = federated_class_mask(
                objects, config.num_classes, config.federated_classes, self.class_frequencies, generator
            )
        output = self.transform(maps, padding_mask, denoising)
        return output_losses(output, objects, denoising, mask)

    def _check_labels(self, objects: Sequence[Objects]) -> None:
        for index, item in enumerate(objects):
            outside = item.labels[(item.labels < 0) | (item.labels >= self.num_classes)]
            if len(outside):
                raise ValueError(
                    f"picture {index} has the label {int(outside[0])}, but the model has {self.num_classes} "
                    "classes, numbered from 0"
                )


def output_losses(
    output: DINOOutput, objects: Sequence[Objects], denoising: Denoising, class_mask: Tensor | None = None
) -> Losses:
    """Losses of the selected cells, of every decoder layer and of its denoising queries.

    Args:
        output: Predictions with the denoising queries in front.
        objects: One a picture.
        denoising: The denoising queries.
        class_mask: ``(K,)`` bool, classes the classification loss looks at; None = all.
    """
    # Losses and matching in float32 at least, also under autocast.
    dtype = coordinate_dtype(output.logits)
    losses: Losses = {}

    def add(prefix: str, logits: Tensor, boxes: Tensor, repaired: bool) -> None:
        logits, boxes = logits.to(dtype), boxes.to(dtype)
        assignment = denoising_assignment(denoising, objects) if repaired else assign(logits, boxes, objects)
        found = set_losses(logits, boxes, objects, assignment, class_mask)
        losses.update({prefix + name: loss for name, loss in found.items()})

    add("encoder.", output.selection.logits, output.selection.references.sigmoid(), False)
    count, last = denoising.count, len(output.logits) - 1
    for layer, (logits, boxes) in enumerate(zip(output.logits, output.boxes, strict=True)):
        prefix = "" if layer == last else f"decoder{layer}."
        add(prefix, logits[:, count:], boxes[:, count:], False)
        add(f"{prefix}denoising.", logits[:, :count], boxes[:, :count], True)
    return losses


def _default_backbone(config: DINOConfig) -> nn.Module:
    """The backbone of the config, its last three stages."""
    build = CompositeInternImage if config.composite else InternImage
    return build(config.backbone, out_indices=(1, 2, 3))


def _check_sizes(images: Tensor, sizes: Sequence[Size] | None, name: str, inside: bool = True) -> list[Size]:
    """Sizes as a list of (height, width), one a picture; ``inside`` = not beyond the images."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(images.shape)}")
    height, width = images.shape[2:]
    if sizes is None:
        return [(height, width)] * len(images)
    if len(sizes) != len(images):
        raise ValueError(f"{name} has {len(sizes)} entries for {len(images)} images")
    for size in sizes:
        if len(size) != 2 or min(size) < 1 or (inside and (size[0] > height or size[1] > width)):
            raise ValueError(f"{name} has {tuple(size)}; expected (height, width) inside ({height}, {width})")
    return [(int(size[0]), int(size[1])) for size in sizes]


def _padding_mask(images: Tensor, sizes: Sequence[Size]) -> Tensor:
    """``(N, H, W)`` bool, True where padded."""
    height, width = images.shape[2:]
    limits = torch.tensor(sizes, device=images.device)
    rows = torch.arange(height, device=images.device) >= limits[:, :1]
    columns = torch.arange(width, device=images.device) >= limits[:, 1:]
    return rows[:, :, None] | columns[:, None, :]
