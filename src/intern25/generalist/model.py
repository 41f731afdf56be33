# SPDX-License-Identifier: MIT
r"""The generalist: image encoder, proposals, text core and unified decoder behind one read-out.

Every task is :math:`P(x, y) \propto \exp(\cos(g f(x), g f(y)) / \tau)` with the same ``f`` and ``g``, or text
that ``g`` writes after a prefix of the same tokens.
"""

# N pictures, T texts, L tokens, K regions, d width of the decoder

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intern25.backbones.internimage import InternImage
from intern25.generalist.config import GeneralistConfig
from intern25.generalist.decoder import Segment, UnifiedDecoder
from intern25.generalist.dense_head import DenseHead
from intern25.generalist.features import ImageFeatures
from intern25.generalist.global_tokens import GlobalTokens
from intern25.generalist.key_value_cache import KeyValueCache
from intern25.generalist.proposal_targets import ProposalTargets
from intern25.generalist.proposals import ProposalNetwork
from intern25.generalist.region_tokens import RegionTokens
from intern25.generalist.routing import Routing
from intern25.generalist.similarity import Readout
from intern25.generalist.text_core import TextCore
from intern25.generalist.text_transformer import TextTransformer
from intern25.generalist.tokenizer import TokenBatch

FAMILIES = ("classification", "retrieval", "region", "dense", "answer")
"""Task families, each with a temperature of its own."""
_MODALITIES = ("special", "global", "region", "text")


class Generalist(nn.Module):
    r"""One model for every task.

    .. math:: P(x, y) = \frac{\exp(\cos(g f(x), g f(y)) / \tau)}{\sum_z \exp(\cos(g f(x), g f(z)) / \tau)}

    Convention:
        - pictures: normalised ``(N, 3, H, W)``; any size from 32 pixels upwards.
        - ``<SPE>`` stands in front of every picture and every name; its output represents them. Where it
          stands for them alone it starts from the mean of the tokens behind it: a vector of its own would
          give all pictures one embedding until attention has learned to fill it. Before a question it starts
          from its own vector, since there a mean of the picture drowns the question.

    Args:
        config: Architecture.
        text_core: Replaces the text core of the configuration, such as a Hugging Face language model.

    Source:
        Uni-Perceiver v2, arXiv:2211.09808, sections 3.1 and 3.2.
    """

    def __init__(self, config: GeneralistConfig, *, text_core: TextCore | None = None) -> None:
        super().__init__()
        self.config = config
        self.backbone = InternImage(config.backbone)
        channels = list(config.backbone.stage_channels)
        self.global_tokens = GlobalTokens(
            channels, config.width, pooled=config.pooled_tokens, stage=config.global_stage
        )
        self.proposals = ProposalNetwork(config.proposals, channels)
        self.region_tokens = RegionTokens(config.proposals.channels, config.width)
        self.dense_head = DenseHead(config.proposals.channels, config.width)
        self.text_core = TextTransformer(config.text) if text_core is None else text_core
        text_width = self.text_core.width
        self.text_projection = nn.Linear(text_width, config.width)
        self.vocabulary_projection = (
            None if text_width == config.width else nn.Linear(config.width, text_width, bias=False)
        )
        self.special = nn.Parameter(torch.empty(config.width))
        self.modality = nn.Embedding(len(_MODALITIES), config.width)
        self.input_norm = nn.LayerNorm(config.width)
        self.decoder = UnifiedDecoder(config)
        self.readout = Readout(config.width, FAMILIES)
        nn.init.trunc_normal_(self.special, std=0.02)
        nn.init.trunc_normal_(self.modality.weight, std=0.02)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.special.device

    def encode_image(
        self, images: Tensor, *, regions: int | None = 0, targets: list[ProposalTargets] | None = None
    ) -> ImageFeatures:
        """Encode pictures.

        Args:
            images: ``(N, 3, H, W)``, normalised.
            regions: How many of the best proposals become tokens; 0 leaves the proposal network out, None
                takes all in the network's own order.
            targets: Objects to add denoising queries for, in training.
        """
        maps = cast(list[Tensor], self.backbone(images))
        tokens = self.global_tokens(maps)
        if regions == 0:
            return ImageFeatures(tokens=tokens)
        proposals = self.proposals(maps, targets)
        chosen = None if regions is None else proposals.best(regions)
        return ImageFeatures(
            tokens=tokens, regions=self.region_tokens(proposals, chosen), proposals=proposals
        )

    def encode_pixels(self, images: Tensor) -> Tensor:
        """Embed every fourth pixel of every fourth row, to be compared with names.

        Args:
            images: ``(N, 3, H, W)``, normalised.

        Returns:
            ``(N, d, H/4, W/4)``.
        """
        maps = self.backbone(images)
        mask_features, _ = self.proposals.pixel_decoder(maps)
        return cast(Tensor, self.dense_head(mask_features))

    def embed_texts(self, texts: TokenBatch, routing: Routing) -> Tensor:
        """Represent names, answers or captions: the targets ``y``.

        Args:
            texts: ``T`` texts.
            routing: Attributes of the task.

        Returns:
            ``(T, d)`` embeddings of length 1, from the outputs of ``<SPE>``.
        """
        words = self._text_tokens(self.text_core(texts.ids, texts.present))
        share = texts.present / texts.present.sum(dim=1, keepdim=True).clamp(min=1)
        tokens = self._with_special(words, (words * share[..., None]).sum(dim=1, keepdim=True))
        segment = Segment(tokens=tokens, attributes=routing.target, present=_one_more(texts.present))
        return self.readout.embed(self.decoder([segment])[0][:, 0])

    def embed_images(
        self, features: ImageFeatures, routing: Routing, *, seen: Tensor | None = None
    ) -> Tensor:
        """Represent pictures by the outputs of ``<SPE>``.

        Args:
            features: The pictures.
            routing: Attributes of the task.
            seen: ``(N, L)`` bool, the global tokens that a picture is represented by; None for all.

        Returns:
            ``(N, d)`` embeddings of length 1.
        """
        return self.readout.embed(self.decoder([self._image_segment(features, routing, seen=seen)])[0][:, 0])

    def embed_regions(self, features: ImageFeatures, routing: Routing) -> Tensor:
        """Represent the regions of pictures: ``(N, K, d)`` embeddings of length 1."""
        if features.regions is None:
            raise ValueError("these features have no regions; encode the picture with regions=...")
        states = self.decoder([self._image_segment(features, routing)])[0]
        return self.readout.embed(states[:, -features.regions.shape[1] :])

    def prefix(
        self, features: ImageFeatures | None, texts: TokenBatch | None, routing: Routing
    ) -> list[Segment]:
        """Segments of a picture and the text about it, which see each other.

        Args:
            features: One picture a text; None for text alone.
            texts: Questions or instructions.
            routing: Attributes of the task.
        """
        segments = [] if features is None else [self._image_segment(features, routing, texts is None)]
        if texts is not None:
            tokens = self.input_norm(self._text_tokens(self.text_core(texts.ids, texts.present)))
            segments.append(Segment(tokens=tokens, attributes=routing.text, present=texts.present))
        return segments

    def written(
        self,
        texts: TokenBatch,
        routing: Routing,
        *,
        start: int = 0,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Segment:
        """Segment of text that is written token by token: each token sees what comes before it."""
        states = self.text_core(texts.ids, texts.present, causal=True, start=start, caches=caches)
        tokens = self.input_norm(self._text_tokens(states))
        return Segment(tokens=tokens, attributes=routing.written, present=texts.present, causal=True)

    def vocabulary_logits(self, states: Tensor) -> Tensor:
        """Scores of the next token: ``(..., d)`` outputs of the decoder to ``(..., vocabulary)``."""
        return self.readout.vocabulary_logits(
            states, self.text_core.embedding.weight, self.vocabulary_projection
        )

    def _image_segment(
        self, features: ImageFeatures, routing: Routing, alone: bool = True, seen: Tensor | None = None
    ) -> Segment:
        tokens = features.tokens + self.modality.weight[1]
        mean = _mean(tokens, seen) if alone else None
        if features.regions is not None:
            tokens = torch.cat((tokens, features.regions + self.modality.weight[2]), dim=1)
            seen = None if seen is None else F.pad(seen, (0, features.regions.shape[1]), value=True)
        return Segment(
            tokens=self._with_special(tokens, mean),
            attributes=routing.image,
            present=None if seen is None else _one_more(seen),
        )

    def _text_tokens(self, states: Tensor) -> Tensor:
        return cast(Tensor, self.text_projection(states) + self.modality.weight[3])

    def _with_special(self, tokens: Tensor, mean: Tensor | None) -> Tensor:
        """``<SPE>``, with a ``mean`` ``(N, 1, d)`` or without, before ``(N, L, d)`` tokens, normalised."""
        special = (self.special + self.modality.weight[0]).expand(tokens.shape[0], 1, -1)
        special = special if mean is None else special + mean
        return cast(Tensor, self.input_norm(torch.cat((special.to(tokens.dtype), tokens), dim=1)))


def _mean(tokens: Tensor, seen: Tensor | None) -> Tensor:
    """``(N, 1, d)`` mean of the tokens ``(N, L, d)``, or of those that are seen ``(N, L)``."""
    if seen is None:
        return tokens.mean(dim=1, keepdim=True)
    shares = seen.to(tokens.dtype)
    return (shares / shares.sum(dim=1, keepdim=True))[:, None] @ tokens


def _one_more(present: Tensor) -> Tensor:
    """Presence of tokens with ``<SPE>`` in front."""
    return torch.cat((torch.ones_like(present[:, :1]), present), dim=1)
