# SPDX-License-Identifier: MIT
"""What a few minutes of M3I pre-training do for a small backbone: a linear probe of its features.

    OMP_NUM_THREADS=1 python -m benchmarks.pretrain_probe caltech101_128.zip --seed 0

The probe is multinomial regression on the means of the last two stages, with one penalty for all. Compared
are fresh weights, features alone, features and names, and names alone (classification), for as many updates.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from intern25.backbones.internimage import INTERNIMAGE_NANO
from intern25.data.decoding import decode
from intern25.data.labelled import LabelledImages
from intern25.data.multimodal.crops import read_named_splits
from intern25.data.picture_views import PictureView, normalised
from intern25.generalist.config import INTERN25_TINY
from intern25.generalist.files import load_generalist, save_generalist
from intern25.generalist.m3i import M3IConfig
from intern25.generalist.model import Generalist
from intern25.generalist.tasks.pretraining import PretrainTask
from intern25.generalist.tokenizer import Tokenizer
from intern25.training.generalist.config import GeneralistTrainConfig
from intern25.training.generalist.own.settings import OwnSettings
from intern25.training.generalist.own_data import own_mixture
from intern25.training.generalist.run import train_generalist

SIZE = 64
PENALTY = 1e-4
SMALL = dataclasses.replace(
    INTERN25_TINY,
    backbone=dataclasses.replace(INTERNIMAGE_NANO, channels=16, depths=(1, 1, 2, 1), groups=(1, 2, 4, 8)),
    width=96,
    heads=3,
    feedforward=192,
    layers=2,
)
STAGES: dict[str, tuple[str, M3IConfig | None]] = {
    "fresh": ("", None),
    "features": ("pretrain", M3IConfig(meaning_weight=0.0)),
    "features_and_names": ("pretrain", M3IConfig()),
    "names": ("classify", None),
}


@torch.no_grad()
def features(model: Generalist, images: LabelledImages) -> tuple[Tensor, Tensor]:
    """Means of the maps of the last two stages, and classes."""
    view, parts = PictureView(size=(SIZE, SIZE)), []
    for first in range(0, len(images), 128):
        rows = range(first, min(first + 128, len(images)))
        pictures = torch.stack([view.plain(np.asarray(decode(images, row))) for row in rows])
        maps = model.backbone(normalised(pictures))
        parts.append(torch.cat([maps[2].mean((2, 3)), maps[3].mean((2, 3))], dim=1))
    return torch.cat(parts), torch.tensor(images.labels)


def probe(model: Generalist, data: str) -> float:
    """Top-1 of multinomial regression on held-out pictures."""
    splits = read_named_splits(data, seed=0).splits
    (x, y), (held_x, held_y) = features(model, splits.train), features(model, splits.val)
    mean, deviation = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, held_x = (x - mean) / deviation, (held_x - mean) / deviation
    weight = torch.zeros(x.shape[1], len(splits.train.classes), requires_grad=True)
    bias = torch.zeros(len(splits.train.classes), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=150, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight + bias, y) + PENALTY * weight.square().sum() / 2
        value.backward()
        return value.item()

    optimizer.step(loss)
    return float(((held_x @ weight + bias).argmax(dim=1) == held_y).float().mean())


def pretrained(stage: str, data: str, seed: int, updates: int, folder: Path) -> Generalist:
    """The generalist after a stage."""
    torch.manual_seed(seed)
    start = folder / "start.safetensors"
    save_generalist(start, Generalist(SMALL))
    kind, settings = STAGES[stage]
    if not kind:
        return load_generalist(start).model
    mixture = own_mixture(data, (kind,), OwnSettings(tokenizer=Tokenizer.packaged(), image_size=SIZE))
    task = mixture.parts[0].task
    if settings is not None and isinstance(task, PretrainTask):
        task.config = settings
    config = GeneralistTrainConfig(
        data=data, pretrained=str(start), output=str(folder / stage), updates=updates, base_lr=2e-3,
        seed=seed, backbone_lr_mul=1.0, warmup_updates=20, eval_updates=updates, ema_decay=0.99, workers=0,
        tensorboard=False, device="cpu",
    )  # fmt: skip
    return load_generalist(train_generalist(config, mixture).output / "final.safetensors").model


def main() -> None:
    """Print one JSON object a stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--updates", type=int, default=300)
    options = parser.parse_args()
    for stage in STAGES:
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            model = pretrained(stage, options.data, options.seed, options.updates, Path(folder))
            top1 = round(probe(model, options.data), 4)
            seconds = round(time.monotonic() - started)
            print(json.dumps({"stage": stage, "seed": options.seed, "probe_top1": top1, "seconds": seconds}))


if __name__ == "__main__":
    main()
