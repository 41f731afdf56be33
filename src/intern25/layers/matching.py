# SPDX-License-Identifier: MIT
"""One-to-one matching of queries and targets: costs of all pairs, and the Hungarian algorithm."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_LOG_EPS = 1e-12


def hungarian(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Assign each target to one query, no query twice, so that the sum of the costs is smallest.

    Args:
        cost: ``(Q, T)`` costs, any device.

    Returns:
        Query indices, ascending, and their target indices, both ``(min(Q, T),)`` int64 on the cost's device.

    Raises:
        ValueError: The costs are not a matrix, or contain NaN or infinity.
        ImportError: SciPy is missing.

    Example:
        >>> hungarian(torch.tensor([[9.0, 1.0], [2.0, 9.0], [5.0, 5.0]]))
        (tensor([0, 1]), tensor([1, 0]))

    Source:
        DETR, arXiv:2005.12872, section 3.1.
    """
    if cost.ndim != 2:
        raise ValueError(f"expected costs of shape (queries, targets), got {tuple(cost.shape)}")
    values = cost.detach().double().cpu().numpy()
    if not np.isfinite(values).all():
        query, target = (int(index[0]) for index in np.nonzero(~np.isfinite(values)))
        raise ValueError(
            f"the cost of query {query} and target {target} is {values[query, target]}: the predictions "
            "or targets are not finite; check the boxes, lower the learning rate or clip the gradient"
        )
    queries, targets = _linear_sum_assignment(values)
    return torch.from_numpy(queries).to(cost.device), torch.from_numpy(targets).to(cost.device)


def focal_cost(logits: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    r"""Cost of a class: what the focal loss of a positive entry is above that of a negative one.

    .. math:: -\alpha (1 - p)^\gamma \log p + (1 - \alpha) p^\gamma \log(1 - p)

    Args:
        logits: Any shape.
        alpha: Weight of the positive entries, ``1 - alpha`` of the negative ones.
        gamma: How much easy entries count less.

    Returns:
        The same shape.

    Source:
        Deformable DETR, arXiv:2010.04159 (its matching cost).
    """
    probability = logits.sigmoid()
    positive = -(probability + _LOG_EPS).log() * alpha * (1 - probability) ** gamma
    negative = -(1 - probability + _LOG_EPS).log() * (1 - alpha) * probability**gamma
    return positive - negative


def mask_costs(found: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross entropy and dice loss of every pair of masks, read at the same points.

    Args:
        found: ``(..., Q, P)`` logits.
        wanted: ``(..., K, P)`` masks, 0 to 1.

    Returns:
        Two of ``(..., Q, K)``: the mean over the points, and the dice loss with 1 added to both its terms.

    Source:
        Mask2Former, arXiv:2112.01527, section 3.3.
    """
    # BCE(x, t) = softplus(x) - x t, summed over the points for every pair by one product.
    entropy = (F.softplus(found).sum(-1)[..., None] - found @ wanted.mT) / found.shape[-1]
    probability = found.sigmoid()
    total = probability.sum(-1)[..., None] + wanted.sum(-1)[..., None, :]
    return entropy, 1 - (2 * (probability @ wanted.mT) + 1) / (total + 1)


def _linear_sum_assignment(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("matching needs SciPy; run pip install 'intern25[train]'") from error
    queries, targets = linear_sum_assignment(values)
    return queries.astype(np.int64), targets.astype(np.int64)
