# SPDX-License-Identifier: MIT
"""Train the model of ``task_heads`` in two processes, each on half of the batch; started by a test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from intern25.training.task_balance import TaskBalancedAdamW
from tests.training.task_heads import ORDER, SHARES, Heads, batch_of, groups_of


def wrapped(kind: str) -> tuple[nn.Module, TaskBalancedAdamW]:
    model = Heads(torch.float32)
    if kind == "fsdp":
        fully_shard(model)
        return model, TaskBalancedAdamW(groups_of(model), lr=1.0, shares=SHARES)
    optimizer = TaskBalancedAdamW(groups_of(model), lr=1.0, shares=SHARES)
    return DistributedDataParallel(model, find_unused_parameters=True), optimizer


def train(model: nn.Module, optimizer: TaskBalancedAdamW, updates: range) -> None:
    for update in updates:
        optimizer.zero_grad()
        optimizer.task = task = ORDER[update]
        half = batch_of(update, torch.float32)[dist.get_rank() :: 2]
        model(half, task).square().sum().backward()
        optimizer.step()


def weights_after_resuming(kind: str) -> dict[str, Any]:
    model, optimizer = wrapped(kind)
    train(model, optimizer, range(9))
    options = StateDictOptions(full_state_dict=True)
    weights = get_model_state_dict(model, options=options)
    state = get_optimizer_state_dict(model, optimizer, options=options)
    # The trainer's checkpoint lies on a disk that every process reads.
    shared = [weights, state]
    dist.broadcast_object_list(shared)
    model, optimizer = wrapped(kind)
    set_model_state_dict(model, shared[0], options=options)
    set_optimizer_state_dict(model, optimizer, shared[1], options=options)
    train(model, optimizer, range(9, len(ORDER)))
    return get_model_state_dict(model, options=options)


def refuses_sharded_matrices() -> bool:
    model = Heads(torch.float32)
    fully_shard(model)
    group = {"params": [model.shared.weight], "orthogonal": True}
    optimizer = TaskBalancedAdamW([group], lr=1.0, shares=SHARES)
    try:
        train(model, optimizer, range(1))
    except ValueError as error:
        return "use 'ddp'" in str(error)
    return False


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    results = {kind: weights_after_resuming(kind) for kind in ("ddp", "fsdp")}
    assert refuses_sharded_matrices()
    if dist.get_rank() == 0:
        torch.save(results, Path(sys.argv[1]))
    dist.barrier()
    dist.destroy_process_group()
