# SPDX-License-Identifier: MIT
"""One-to-one matching of queries and targets (Hungarian algorithm)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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


def _linear_sum_assignment(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("matching needs SciPy; run pip install 'intern25[train]'") from error
    queries, targets = linear_sum_assignment(values)
    return queries.astype(np.int64), targets.astype(np.int64)
