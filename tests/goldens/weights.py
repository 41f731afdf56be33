# SPDX-License-Identifier: MIT
"""Deterministic pseudo-random weights and inputs, derived from NAMES only.

numpy only.  Every golden in this folder was made with the official code after
loading `tensor_for(official_state_dict_name, shape)` for every entry of the
official state dict, so no weights are stored.

The name given to `tensor_for` is the full official state-dict name (including
prefixes such as ``backbone.`` in detectors / segmentors).  Values are drawn as
float64 from ``numpy.random.RandomState(crc32(name))`` (legacy generator, C
order, stable over numpy versions), scaled, and cast to float32.  When a model
is run in float64 the float32 values are cast up, so both precisions see the
same numbers.
"""

import re
import zlib

import numpy as np

VERSION = 1


def _randn(name, shape):
    rs = np.random.RandomState(zlib.crc32(name.encode("utf-8")) & 0xFFFFFFFF)
    return rs.standard_normal(tuple(int(s) for s in shape))


def fan_in_of(shape):
    """Inputs per output for (out, in, *k) weights."""
    return int(np.prod(shape[1:])) if len(shape) > 1 else 1


# (regex searched in the name, kind).  The first match wins.
_RULES = [
    (r"num_batches_tracked$", "zero_int"),
    (r"running_mean$", "bn_mean"),
    (r"running_var$", "bn_var"),
    # layer scales: gamma1/gamma2 of the blocks, gamma0..3 of CBNet
    (r"(^|\.)gamma[0-9]?$", "layer_scale"),
    # DCNv3 offset / mask branches
    (r"\.dcn\.(offset|mask)\.weight$", "w*1.5"),
    (r"\.dcn\.(offset|mask)\.bias$", "b*0.3"),
    (r"center_feature_scale_proj_bias$", "b*0.5"),
    # multi-scale deformable attention
    (r"sampling_offsets\.bias$", "b*1.0"),
    (r"attention_weights\.bias$", "b*0.3"),
    # detection heads: calibrated so that scores spread out and only a few
    # dozen boxes pass the score threshold
    (r"^rpn_head\.rpn_reg\.weight$", "w*0.3"),
    (r"^rpn_head\.rpn_cls\.weight$", "w*0.7"),
    (r"^roi_head\.bbox_head\.fc_cls\.weight$", "w*3.0"),
    (r"^roi_head\.bbox_head\.\d+\.fc_cls\.weight$", "w*8.0"),
    (r"^roi_head\.bbox_head\.fc_cls\.bias$", "b*0.05+bg11.0"),
    (r"^roi_head\.bbox_head\.\d+\.fc_cls\.bias$", "b*0.05+bg10.5"),
    # DINO: keep the queries diverse; `#k` salts the name
    (
        r"^bbox_head\.transformer\.(encoder|decoder)\.layers\..*(output_proj|attn\.out_proj|ffns\.0\.layers\.1)\.weight$",
        "w*0.5",
    ),
    (r"^bbox_head\.transformer\.enc_output\.bias$", "b*0.05#119"),
    (r"^roi_head\.bbox_head(\.\d+)?\.fc_reg\.weight$", "w*1.0"),
    (r"^roi_head\.mask_head(\.\d+)?\.conv_logits\.weight$", "w*8.0"),
    (r"^bbox_head\.cls_branches\.\d+\.weight$", "w*1.5"),
    (r"^bbox_head\.cls_branches\.\d+\.bias$", "b*0.05-2.0"),
    (r"^bbox_head\.reg_branches\.\d+\.4\.weight$", "w*0.5"),
    # learned embeddings: unit variance
    (
        r"(query_embed|query_feat|level_embed|level_embeds|level_encoding|label_embedding)(\.weight)?$",
        "embed",
    ),
    # Mask2Former: keep the queries and their classes diverse
    (r"^decode_head\.transformer_decoder\.layers\..*(attn\.out_proj|ffns\.0\.layers\.1)\.weight$", "w*0.15"),
    (r"^decode_head\.cls_embed\.weight$", "w*6.0"),
    # segmentation
    (r"conv_seg\.weight$", "wc*4.0"),
]


def kind_of(name, shape):
    for pat, kind in _RULES:
        if re.search(pat, name):
            return kind
    if name.endswith("bias"):
        return "b*0.05"
    if len(shape) >= 2:
        return "w*1.0"
    return "norm_weight"


def tensor_for(name, shape, kind=None):  # noqa: C901 - one branch a kind of tensor
    """The float32 (int64 for num_batches_tracked) array for one entry.

    kind: None (derived from the name with `kind_of`) or one of
      zero_int | bn_mean 0.1n | bn_var 1+0.1|n| | layer_scale 0.5+0.1n |
      norm_weight 1+0.1n | embed n | 'w*S' S*n/sqrt(fan_in) | 'wc*S' the same
      with every output's weights centred to mean 0 | 'b*S' S*n |
      'b*S-C' S*n-C | 'b*S+bgC' S*n with C added to the last entry (background);
      a suffix '#k' hashes name + '#k' instead of the name
    """
    shape = tuple(int(s) for s in shape)
    if kind is None:
        kind = kind_of(name, shape)
    if kind == "zero_int":
        return np.zeros(shape, np.int64)
    salt = ""
    if "#" in kind:
        kind, salt = kind.split("#")
        salt = "#" + salt
    n = _randn(name + salt, shape)
    if kind == "bn_mean":
        v = 0.1 * n
    elif kind == "bn_var":
        v = 1.0 + 0.1 * np.abs(n)
    elif kind == "layer_scale":
        v = 0.5 + 0.1 * n
    elif kind == "norm_weight":
        v = 1.0 + 0.1 * n
    elif kind == "embed":
        v = n
    elif kind.startswith("w*"):
        n *= float(kind[2:]) / np.sqrt(fan_in_of(shape))
        v = n
    elif kind.startswith("wc*"):
        n = n.reshape(shape[0], -1)
        n = n - n.mean(1, keepdims=True)
        v = (n * (float(kind[3:]) / np.sqrt(fan_in_of(shape)))).reshape(shape)
    elif "+bg" in kind:
        v = float(kind[2:].split("+bg")[0]) * n
        v[-1] += float(kind.split("+bg")[1])
    elif kind.startswith("b*"):
        m = re.match(r"b\*([0-9.]+)(?:-([0-9.]+))?$", kind)
        v = float(m.group(1)) * n - float(m.group(2) or 0.0)
    else:
        raise ValueError(kind)
    return v.astype(np.float32)


def input_for(name, shape, smooth=0):
    """Standard-normal float32 input image/tensor for a golden, from its name.

    smooth=k > 0: upsampled (nearest, factor k) low-frequency noise plus 0.3
    times white noise, so that detectors see blobs instead of pure noise.
    """
    shape = tuple(int(s) for s in shape)
    n = _randn("input:" + name, shape)
    if smooth:
        k = int(smooth)
        h, w = shape[-2:]
        low = _randn("input_low:" + name, (*shape[:-2], -(-h // k), -(-w // k)))
        low = np.repeat(np.repeat(low, k, -2), k, -1)[..., :h, :w]
        n = low + 0.3 * n
    return n.astype(np.float32)


def state_dict_for(manifest):
    """{name: array} for a manifest's `tensors` list ([name, shape, dtype])."""
    return {t[0]: tensor_for(t[0], t[1]) for t in manifest["tensors"]}
