# SPDX-License-Identifier: MIT
"""Made files with the tensor names of Uni-Perceiver's published code, and its forward pass written out.

The forward pass uses the file's own names and torch's own attention, nothing of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HEADS, HIDDEN, LAYERS, WORDS, EXPERTS = 128, 2, 96, 3, 30, 3
SCALES = (
    "img_cls", "video_cls", "text_mlm", "text_caption", "caption", "mlm", "retrieve", "tqa_mlm",
    "tqa_caption", "tqa_retrieve", "downstream",
)  # fmt: skip
Tensors = dict[str, Tensor]


def _linear(name: str, out: int, into: int) -> Tensors:
    return {f"{name}.weight": torch.randn(out, into) / into**0.5, f"{name}.bias": torch.randn(out)}


def _norm(name: str) -> Tensors:
    return {f"{name}.weight": 1 + 0.3 * torch.randn(WIDTH), f"{name}.bias": 0.3 * torch.randn(WIDTH)}


def _moe(name: str, out: int, into: int) -> Tensors:
    tensors = {
        **_linear(f"{name}.gate.tag_transform.0", WIDTH, 8),
        **_norm(f"{name}.gate.tag_transform.1"),
        f"{name}.gate.wg.weight": torch.randn(EXPERTS, WIDTH),
    }
    for expert in range(EXPERTS):
        tensors |= _linear(f"{name}.experts.deepspeed_experts.{expert}", out, into)
    return tensors


def published(*, moe: bool, seed: int = 0) -> Tensors:
    """Random tensors under the published names, two heads of 64 channels, pictures of 2 x 2 patches."""
    torch.manual_seed(seed)
    norm = _norm("token_embed.embeddings_norm")
    tensors: Tensors = {
        "token_embed.embeddings.weight": torch.randn(WORDS, WIDTH),
        "token_embed.embeddings_pos.position_embeddings.weight": torch.randn(12, WIDTH),
        "token_embed.embeddings_token_type.weight": torch.randn(2, WIDTH),
        **norm,
        "video_embed.embeddings.weight": 0.1 * torch.randn(WIDTH, 3, 4, 4),
        "video_embed.embeddings.bias": torch.randn(WIDTH),
        "video_embed.embeddings_st_pos.spatial_pos_embed.weight": torch.randn(4, WIDTH),
        "video_embed.embeddings_st_pos.temporal_pos_embed.weight": torch.randn(5, WIDTH),
        "video_embed.embeddings_type.weight": torch.randn(1, WIDTH),
        **{name.replace("token_embed", "video_embed"): tensor for name, tensor in norm.items()},
        **_norm("loss_prepare.ln_post"),
        **_linear("loss_prepare.proj", WIDTH, WIDTH),
        **{f"loss_prepare.logit_scale_{name}": torch.rand([]) for name in SCALES},
    }
    for index in range(LAYERS):
        layer = f"fused_encoder.layers.{index}"
        tensors |= {**_norm(f"{layer}.norm1"), **_norm(f"{layer}.norm2")}
        tensors |= {f"{layer}.gamma_{part}": torch.randn(WIDTH) for part in (1, 2)}
        tensors |= _published_layer(layer, moe, index)
    return tensors


def _published_layer(layer: str, moe: bool, index: int) -> Tensors:
    if not moe:
        attention = _linear("in", 3 * WIDTH, WIDTH)
        return {
            f"{layer}.self_attn.in_proj_weight": attention["in.weight"],
            f"{layer}.self_attn.in_proj_bias": attention["in.bias"],
            **_linear(f"{layer}.self_attn.out_proj", WIDTH, WIDTH),
            **_linear(f"{layer}.linear1", HIDDEN, WIDTH),
            **_linear(f"{layer}.linear2", WIDTH, HIDDEN),
        }
    make: Callable[[str, int, int], Tensors] = _linear if index % 2 else _moe
    return {
        **make(f"{layer}.self_attn.qkv_proj", 3 * WIDTH, WIDTH),
        **make(f"{layer}.self_attn.dense", WIDTH, WIDTH),
        **make(f"{layer}.linear1", HIDDEN, WIDTH),
        **make(f"{layer}.linear2", WIDTH, HIDDEN),
    }


class WrittenOut:
    """The published forward pass, one sample at a time."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.t = {name: tensor.double() for name, tensor in tensors.items()}

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (WIDTH,), self.t[f"{name}.weight"], self.t[f"{name}.bias"], 1e-5)

    def special(self) -> Tensor:
        return self.norm("token_embed.embeddings_norm", self.t["token_embed.embeddings.weight"][-1:])

    def text(self, ids: Sequence[int], positions: Sequence[int] | None = None) -> Tensor:
        """``(L, d)`` tokens of a text."""
        rows = []
        for place, number in enumerate(ids):
            at = place if positions is None else positions[place]
            rows.append(
                self.t["token_embed.embeddings.weight"][number]
                + self.t["token_embed.embeddings_pos.position_embeddings.weight"][at]
                + self.t["token_embed.embeddings_token_type.weight"][0]
            )
        return self.norm("token_embed.embeddings_norm", torch.stack(rows))

    def video(self, frames: Tensor) -> Tensor:
        """``(F * 4, d)`` tokens of frames ``(F, 3, 8, 8)``."""
        rows = []
        weight = self.t["video_embed.embeddings.weight"]
        for number, frame in enumerate(frames.double()):
            for cell in range(4):
                top, left = 4 * (cell // 2), 4 * (cell % 2)
                patch = frame[:, top : top + 4, left : left + 4]
                rows.append(
                    (weight * patch).sum(dim=(1, 2, 3))
                    + self.t["video_embed.embeddings.bias"]
                    + self.t["video_embed.embeddings_st_pos.temporal_pos_embed.weight"][number]
                    + self.t["video_embed.embeddings_st_pos.spatial_pos_embed.weight"][cell]
                )
        return self.norm("video_embed.embeddings_norm", torch.stack(rows))

    def encode(self, groups: Sequence[tuple[Tensor, str]], hidden: Tensor | None = None) -> Tensor:
        """Outputs of groups of tokens with their attributes; ``hidden`` is True where none may look."""
        x = torch.cat([tokens for tokens, _ in groups])
        bits = [attributes for tokens, attributes in groups for _ in tokens]
        for index in range(LAYERS):
            layer = f"fused_encoder.layers.{index}"
            normed = self.norm(f"{layer}.norm1", x)
            x = x + self.t[f"{layer}.gamma_1"] * self._attention(layer, normed, bits, hidden)
            normed = self.norm(f"{layer}.norm2", x)
            inner = F.gelu(self._linear(f"{layer}.linear1", normed, bits))
            x = x + self.t[f"{layer}.gamma_2"] * self._linear(
                f"{layer}.linear2", inner, bits, gate=f"{layer}.linear1"
            )
        return x

    def _attention(self, layer: str, x: Tensor, bits: Sequence[str], hidden: Tensor | None) -> Tensor:
        name = f"{layer}.self_attn"
        if f"{name}.in_proj_weight" in self.t:
            attention = nn.MultiheadAttention(WIDTH, HEADS, dtype=torch.float64)
            attention.load_state_dict(
                {key.removeprefix(f"{name}."): t for key, t in self.t.items() if key.startswith(name)}
            )
            return attention(x, x, x, attn_mask=hidden, need_weights=False)[0]
        query, key, value = self._linear(f"{name}.qkv_proj", x, bits).chunk(3, dim=-1)
        heads = []
        for head in range(HEADS):
            part = slice(64 * head, 64 * (head + 1))
            scores = query[:, part] @ key[:, part].T / 8.0
            if hidden is not None:
                scores = scores - 10000.0 * hidden
            heads.append(scores.softmax(-1) @ value[:, part])
        return self._linear(f"{name}.dense", torch.cat(heads, dim=1), bits, gate=f"{name}.qkv_proj")

    def _linear(self, name: str, x: Tensor, bits: Sequence[str], *, gate: str | None = None) -> Tensor:
        """A linear layer; with experts, the mean of two experts' outputs token by token."""
        if f"{name}.weight" in self.t:
            return x @ self.t[f"{name}.weight"].T + self.t[f"{name}.bias"]
        rows = []
        for token, vector in zip(x, bits, strict=True):
            shares = self._shares(gate or name, vector)
            row = torch.zeros_like(self.t[f"{name}.experts.deepspeed_experts.0.bias"])
            for expert, share in shares.items():
                one = f"{name}.experts.deepspeed_experts.{expert}"
                row = row + share * (self.t[f"{one}.weight"] @ token + self.t[f"{one}.bias"])
            rows.append(row)
        return torch.stack(rows)

    def _shares(self, name: str, bits: str) -> dict[int, float]:
        vector = torch.tensor([float(bit) for bit in bits], dtype=torch.float64)
        embedded = f"{name}.gate.tag_transform"
        x = self.t[f"{embedded}.0.weight"] @ vector + self.t[f"{embedded}.0.bias"]
        scores = (self.t[f"{name}.gate.wg.weight"] @ self.norm(f"{embedded}.1", x)).softmax(0).tolist()
        best = sorted(range(EXPERTS), key=lambda expert: -scores[expert])[:2]
        total = sum(scores[expert] for expert in best)
        return {expert: scores[expert] / total for expert in best}

    def embed(self, state: Tensor) -> Tensor:
        """Embedding of length 1 of an output."""
        projected = self.norm("loss_prepare.ln_post", state) @ self.t["loss_prepare.proj.weight"].T
        projected = projected + self.t["loss_prepare.proj.bias"]
        return projected / projected.norm(dim=-1, keepdim=True)
