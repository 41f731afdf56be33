# SPDX-License-Identifier: MIT
"""Models of the CLIP kind with some thousand random weights, saved as transformers saves the large ones."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessor,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
)

SIDE = 32
_BODY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
_VISION = {**_BODY, "image_size": SIDE, "patch_size": 8}
_PICTURES = {"size": {"height": SIDE, "width": SIDE}, "do_center_crop": False}


def save_clip(folder: Path) -> Path:
    """A CLIP whose tokens are bytes."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer(folder)
    text = {**_BODY, "vocab_size": len(tokenizer), "max_position_embeddings": 24}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(text_config=text | ends, vision_config=_VISION, projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(**_PICTURES), tokenizer).save_pretrained(folder)
    return folder


def save_chinese_clip(folder: Path) -> Path:
    """A ChineseCLIP whose tokens are some characters."""
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"红绿蓝色的公交车狗猫"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    text = {**_BODY, "vocab_size": len(words), "max_position_embeddings": 24}
    config = ChineseCLIPConfig(text_config=text, vision_config=_VISION, projection_dim=8)
    ChineseCLIPModel(config).save_pretrained(folder)
    ChineseCLIPProcessor(ChineseCLIPImageProcessor(**_PICTURES), tokenizer).save_pretrained(folder)
    return folder


def _byte_tokenizer(folder: Path) -> CLIPTokenizer:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder)


def save_siglip(folder: Path) -> Path:
    """A SigLIP, whose texts are padded to one length."""
    folder.mkdir(parents=True)
    torch.manual_seed(2)
    bytes_of = _byte_tokenizer(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_of.backend_tokenizer, pad_token="<|endoftext|>", model_max_length=16
    )
    text = {**_BODY, "vocab_size": len(tokenizer), "max_position_embeddings": 16, "projection_size": 16}
    config = SiglipConfig(text_config=text, vision_config=_VISION)
    SiglipModel(config).save_pretrained(folder)
    SiglipProcessor(SiglipImageProcessor(size=_PICTURES["size"]), tokenizer).save_pretrained(folder)
    return folder
