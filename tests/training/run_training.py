"""Train from a configuration file, as the command does; started by tests as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from intern25.training.classification import train
from intern25.training.config import TrainConfig
from intern25.training.progress import LineReporter

if __name__ == "__main__":
    torch.set_num_threads(1)
    result = train(TrainConfig.from_json(Path(sys.argv[1]).read_text()), reporter=LineReporter())
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    sys.exit(0 if result.finished else 3)
