# SPDX-License-Identifier: MIT
"""Train a timm network exactly as ``intern25 train classify`` trains ours: same data, loss, loop and time.

python benchmarks/train_peer.py runs/caltech/config.json convnextv2_atto runs/caltech-convnextv2_atto
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import timm
import torch

from intern25.data.sources import read_splits
from intern25.training.classification import train
from intern25.training.config import TrainConfig
from intern25.training.progress import console_reporter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="config.json of the run to repeat")
    parser.add_argument("architecture", help="name of a timm network, fresh weights")
    parser.add_argument("output", help="folder of the new run")
    parser.add_argument("--epochs", type=int, help="other number of epochs, to spend the same time")
    parser.add_argument("--progressive", type=int, nargs="*", help="image sizes for it: 60 64 85 80")
    arguments = parser.parse_args()
    config = replace(TrainConfig.from_json(arguments.config.read_text()), output=arguments.output)
    if arguments.epochs:
        pairs = arguments.progressive or []
        config = replace(
            config, epochs=arguments.epochs, progressive=tuple(zip(pairs[::2], pairs[1::2], strict=True))
        )
    torch.manual_seed(config.seed)
    classes = read_splits(config.data, seed=config.seed).train.classes
    model = timm.create_model(
        arguments.architecture, num_classes=len(classes), drop_path_rate=config.drop_path or 0.0
    )
    result = train(config, model=model, reporter=console_reporter())
    print(f"{arguments.architecture}: best top-1 {100 * result.best_top1:.1f} % at epoch {result.best_epoch}")


if __name__ == "__main__":
    main()
