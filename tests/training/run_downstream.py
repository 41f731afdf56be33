# SPDX-License-Identifier: MIT
"""Train the colour detector from a saved configuration, as one of several processes or alone."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from intern25.training.detection import train_detector
from intern25.training.detection_config import DetectionTrainConfig
from intern25.training.progress import LineReporter
from tests.training.coloured import ColourDetector

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = DetectionTrainConfig.from_json(Path(sys.argv[1]).read_text())
    result = train_detector(config, model=ColourDetector(), reporter=LineReporter())
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    sys.exit(0 if result.finished else 3)
