# SPDX-License-Identifier: MIT
"""A random Qwen2 of a few thousand weights with a tokenizer, in a folder, as a text core for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = ["A dog runs.", "一只狗在跑", "two dogs run after a ball", "red", "blue", "what color"]
SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
    "initializer_range": 0.3, "pad_token_id": 0,
}  # fmt: skip


def save_small_qwen2(folder: Path, seed: int = 3) -> Path:
    """Write model and tokenizer; another seed gives another model of the same sizes."""
    import transformers

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    words.train_from_iterator(TEXTS * 3, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    torch.manual_seed(seed)
    transformers.AutoModel.from_config(transformers.AutoConfig.for_model("qwen2", **SIZES)).save_pretrained(
        folder
    )
    fast.save_pretrained(folder)
    return folder
