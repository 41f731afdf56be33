# SPDX-License-Identifier: MIT
"""Weights in every layout: save with class names, write the official layout, load it again."""

import tempfile
from pathlib import Path

import torch

import intern25
from intern25.data.class_names import ClassNames
from intern25.data.preprocessing import Preprocessing
from intern25.weights.convert import convert
from intern25.weights.files import read_metadata, save_model

model = intern25.create_model("internimage_nano", num_classes=2)
names = ClassNames(en=("cat", "dog"), zh=("猫", "狗"))

with tempfile.TemporaryDirectory() as folder:
    own, official = Path(folder, "pets.safetensors"), Path(folder, "pets.pth")
    save_model(own, model, classes=names, preprocessing=Preprocessing(224))
    convert(own, official, layout="official")
    print("in the header:", read_metadata(own).classes)

    again = intern25.create_model("internimage_nano", num_classes=2)
    print(intern25.load_checkpoint(again, official))
    assert all(map(torch.equal, model.parameters(), again.parameters()))
