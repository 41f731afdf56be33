# SPDX-License-Identifier: MIT
"""Knowledge distillation from stored answers: the teacher sees exactly the views that the student trains on.

A run with ``views = V`` draws the augmentation of image ``i`` in epoch ``e`` from ``(seed, e mod V, i)``, so
there are ``V`` different crops of each image, and the teacher answers each of them once, before training.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from intern25.data.augmentation import Augmentation
from intern25.data.labelled import LabelledImages
from intern25.data.loader import ImageBatch, SampleKey, TrainingImages, collate, view_seed
from intern25.training.objectives import BatchMixer, smooth_one_hot
from intern25.training.teachers import TEACHERS, fit_linear_head, load_teacher
from intern25.weights.files import write_whole

_LOGGER = logging.getLogger(__name__)
_BATCH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherConfig:
    """Which teacher answers which views."""

    name: str
    """One of ``teachers.TEACHERS``."""
    image_size: int
    """Side of the views that the teacher sees."""
    views: int
    """Different augmented views of each image."""
    seed: int
    """Seed of the run; fixes the views."""

    def __post_init__(self) -> None:
        if self.name not in TEACHERS:
            raise ValueError(f"unknown teacher {self.name!r}; known: {', '.join(TEACHERS)}")
        if self.views < 1:
            raise ValueError(
                f"views={self.views}: distillation stores the teacher's answers, so set views >= 1"
            )


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """Teacher logits of every view of every image.

    Args:
        logits: ``(views, num_images, num_classes)`` float16.
    """

    logits: npt.NDArray[np.float16]

    def look_up(self, index: Tensor, view: Tensor) -> Tensor:
        """Return the logits of ``view[n]`` of image ``index[n]``, ``(N, num_classes)`` float32."""
        rows = self.logits[view.cpu().numpy(), index.cpu().numpy()]
        return torch.from_numpy(rows.astype(np.float32)).to(index.device)


def soft_targets(
    images: LabelledImages,
    augmentation: Augmentation,
    config: TeacherConfig,
    cache: Path,
    *,
    workers: int = 0,
) -> SoftTargets:
    """Return the teacher's answers, from ``cache`` where they are stored already.

    Every view is one file, written whole, so an interrupted pass goes on where it stopped.

    Args:
        images: Training images.
        augmentation: The student's augmentation; the teacher normalises as it was trained.
        config: Teacher, view size and number of views.
        cache: Folder of the stored answers.
        workers: Loader processes.

    Returns:
        The answers in the order of ``images``.
    """
    spec = TEACHERS[config.name]
    seen = replace(augmentation, mean=spec.mean, std=spec.std)
    folder = cache / f"{config.name}-{_fingerprint(images, seen, config)}"
    paths = [folder / f"view-{view:03d}.npy" for view in range(config.views)]
    missing = [view for view, path in enumerate(paths) if not path.exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        network, head = load_teacher(config.name), None
        for view in missing:
            features = _features(network, TrainingImages(images, seen), config, view, workers)
            head = head or _head(folder / "head.pt", features, images)
            logits = head(features).numpy().astype(np.float16)
            write_whole(paths[view], partial(_save_array, logits))
            correct = float((logits.argmax(axis=1) == np.asarray(images.labels)).mean())
            _LOGGER.info(
                "teacher %s: view %d of %d, %.1f %% right", config.name, view + 1, config.views, 100 * correct
            )
    return SoftTargets(np.stack([np.load(path) for path in paths]))


class DistillationObjective:
    """Labels and stored teacher answers, mixed alike by mixup and cutmix.

    Args:
        answers: The teacher's logits of every view.
        num_classes: Width of the logits.
        temperature: Softens teacher and student.
        weight: Share of the teacher in the loss, between 0 and 1.
        label_smoothing: Share of the label spread over all classes.
        mixer: Mixup and cutmix.
    """

    def __init__(
        self,
        answers: SoftTargets,
        num_classes: int,
        *,
        temperature: float,
        weight: float,
        label_smoothing: float,
        mixer: BatchMixer,
    ) -> None:
        self.answers = answers
        self.num_classes = num_classes
        self.temperature = temperature
        self.weight = weight
        self.label_smoothing = label_smoothing
        self.mixer = mixer

    def __call__(self, model: nn.Module, batch: ImageBatch) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """Return :func:`distillation_loss` of the batch."""
        labels = smooth_one_hot(batch.targets, self.num_classes, self.label_smoothing)
        teacher = self.answers.look_up(batch.index, batch.view).div_(self.temperature).softmax(dim=-1)
        images, targets = self.mixer(batch.images, torch.stack((labels, teacher), dim=1))
        logits = cast(Tensor, model(images)).float()
        loss = distillation_loss(
            logits, targets[:, 0], targets[:, 1], temperature=self.temperature, weight=self.weight
        )
        return loss, {}


def distillation_loss(
    logits: Tensor, targets: Tensor, teacher: Tensor, *, temperature: float, weight: float
) -> Tensor:
    r"""Cross-entropy blended with the divergence from the teacher.

    $$ L = (1 - w)\,H(y, \sigma(z)) + w\,T^2\,\mathrm{KL}\big(\sigma(z_t / T)\,\|\,\sigma(z / T)\big) $$

    Args:
        logits: Student logits ``z``, ``(N, classes)``.
        targets: Class probabilities ``y``, ``(N, classes)``.
        teacher: Probabilities of the teacher at temperature ``T``, ``(N, classes)``.
        temperature: ``T``.
        weight: ``w``, between 0 and 1.

    Returns:
        A scalar.

    Source:
        Hinton et al., arXiv:1503.02531, section 2.
    """
    hard = F.cross_entropy(logits, targets)
    soft = F.kl_div(F.log_softmax(logits / temperature, dim=-1), teacher, reduction="batchmean")
    return (1 - weight) * hard + weight * temperature**2 * soft


def _save_array(array: npt.NDArray[np.float16], path: Path) -> None:
    with path.open("wb") as file:  # given a path, NumPy would append a suffix of its own
        np.save(file, array)


def _fingerprint(images: LabelledImages, augmentation: Augmentation, config: TeacherConfig) -> str:
    """Short hash of everything that the stored answers depend on, except how many views there are."""
    facts = (images.names, images.labels, augmentation, config.image_size, config.seed)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _head(path: Path, features: Tensor, images: LabelledImages) -> nn.Linear:
    """The teacher's linear head: fitted on the first view, then kept so that a resumed pass uses the same."""
    if not path.exists():
        fitted = fit_linear_head(features, torch.tensor(images.labels), len(images.classes))
        write_whole(path, partial(torch.save, fitted.state_dict()))
    head = nn.Linear(features.shape[1], len(images.classes)).requires_grad_(False)
    head.load_state_dict(torch.load(path, weights_only=True))
    return head


@torch.inference_mode()
def _features(
    network: nn.Module, images: TrainingImages, config: TeacherConfig, view: int, workers: int
) -> Tensor:
    """Pooled features of one view of every image, ``(num_images, F)``."""
    keys = [
        SampleKey(index, view_seed(config.seed, view, index), config.image_size, view)
        for index in range(len(images))
    ]
    batches = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
    loader = DataLoader(images, batch_sampler=batches, num_workers=workers, collate_fn=collate)
    parts = [network(batch.images.to(memory_format=torch.channels_last)) for batch in loader]
    return torch.cat(parts)
