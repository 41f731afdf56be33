# SPDX-License-Identifier: MIT
"""Boxes of a detector as prompts for SAM: any detector becomes an instance segmenter.

Arguments: a detector, a picture and, to run SAM too (pip install segment-anything), its vit_b checkpoint.
"""

import dataclasses
import sys

import numpy as np
import torch

import intern25

model, picture, *checkpoint = sys.argv[1:]
found = intern25.load(model).predict(picture, threshold=0.3)

# What segment-anything's predictor takes: an (H, W, 3) uint8 RGB image and (K, 4) corners in its pixels.
image, boxes = np.asarray(found.image), torch.from_numpy(found.boxes)
np.savez("prompts.npz", image=image, boxes=found.boxes, labels=found.labels, names=found.names("en"))
print(f"{len(found)} box prompts for a picture of {found.size[0]} x {found.size[1]} in prompts.npz")

if checkpoint:
    from segment_anything import SamPredictor, sam_model_registry

    sam = SamPredictor(sam_model_registry["vit_b"](checkpoint=checkpoint[0]))
    sam.set_image(image)
    prompts = sam.transform.apply_boxes_torch(boxes, image.shape[:2])
    masks, _, _ = sam.predict_torch(None, None, boxes=prompts, multimask_output=False)
    found = dataclasses.replace(found, masks=masks[:, 0].cpu().numpy())
    found.draw().save("segmented.png")
