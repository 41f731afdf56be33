# SPDX-License-Identifier: MIT
"""Task-balanced AdamW against scalar loops in float64, against AdamW and Muon, and through checkpoints."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from intern25.backbones import INTERNIMAGE_NANO, InternImageClassifier
from intern25.training.moment_history import History
from intern25.training.muon import Muon
from intern25.training.optimizer import hidden_matrices
from intern25.training.parameter_rules import parameter_rules
from intern25.training.progress import Silent
from intern25.training.schedule import FactorSchedule, RateCurve
from intern25.training.task_balance import TaskBalancedAdamW, Untouched, build_task_balanced_optimizer
from intern25.training.task_schedule import TaskSchedule
from intern25.training.trainer import LoopSettings, Trainer, TrainingDivergedError
from tests.training.conftest import finish, start_processes
from tests.training.task_heads import HEADS, ORDER, SHARES, Heads, batch_of, groups_of


def loss_of(model: Heads, task: str, update: int, scale: float = 1.0) -> Tensor:
    return model(batch_of(update, model.shared.weight.dtype), task).square().sum() * scale


def train(model: Heads, optimizer: TaskBalancedAdamW, order: list[str], start: int = 0) -> None:
    for update in range(start, len(order)):
        optimizer.zero_grad()
        optimizer.task = order[update]
        loss_of(model, order[update], update).backward()
        optimizer.step()


def scalar_training(
    model: Heads, order: list[str], weights: dict[str, float], untouched: Untouched
) -> dict[str, Tensor]:
    """The equations, number by number; which tasks touch a head is known beforehand."""
    b1, b2, eps = 0.1, 0.05, 1e-8
    names = [name for name, _ in model.named_parameters()]
    moments = {n: [[0.0, 0.0] for _ in range(p.numel())] for n, p in model.named_parameters()}
    updates = dict.fromkeys(names, 0)
    seen: set[str] = set()
    for update, task in enumerate(order):
        model.zero_grad()
        loss_of(model, task, update).backward()
        seen.add(task)
        norm = math.sqrt(
            sum(g * g for p in model.parameters() if p.grad is not None for g in p.grad.flatten().tolist())
        )
        for name, parameter in model.named_parameters():
            shared = name.startswith("shared")
            touching = {t for t in SHARES if shared or t == name.split(".")[1] or t not in seen}
            if parameter.grad is None and untouched == "skip":
                continue
            total = sum(SHARES[t] for t in touching) if untouched == "skip" else 1.0
            lr, decay = (0.02, 0.1) if shared else (0.01, 0.0)
            updates[name] += 1
            t = updates[name]
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            values, flat = parameter.detach().flatten().tolist(), gradient.flatten().tolist()
            for i, (value, raw) in enumerate(zip(values, flat, strict=True)):
                g = weights[task] * raw / norm
                m, n = moments[name][i]
                m = (1 - b1) * m + b1 * total / SHARES[task] * g
                n = (1 - b2) * n + b2 * total / SHARES[task] * g * g
                moments[name][i] = [m, n]
                step = (m / (1 - (1 - b1) ** t)) / (math.sqrt(n / (1 - (1 - b2) ** t)) + eps)
                values[i] = (1 - lr * decay) * value - lr * step
            parameter.data = torch.tensor(values, dtype=torch.float64).view_as(parameter)
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("untouched", ["skip", "decay"])
@pytest.mark.parametrize("weights", [{}, {"ask": 0.5, "detect": 3.0, "read": 0.2}], ids=["equal", "weighted"])
def test_twenty_updates_equal_the_equations(untouched: Untouched, weights: dict[str, float]) -> None:
    expected = scalar_training(Heads(), ORDER, {task: weights.get(task, 1.0) for task in SHARES}, untouched)
    model = Heads()
    optimizer = TaskBalancedAdamW(
        groups_of(model), lr=1.0, shares=SHARES, weights=weights, fractions=(0.1, 0.05), untouched=untouched
    )
    train(model, optimizer, ORDER)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-10, atol=1e-12)


def displacement(
    norms: dict[str, float], directions: dict[str, Tensor], step: Callable[[Tensor], Any], order: str
) -> Tensor:
    """Way of one shared weight under gradients of constant direction."""
    weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = step(weight)
    for task in order:
        optimizer.task = task
        weight.grad = norms[task] * directions[task]
        optimizer.step()
    return weight.detach()


def test_tasks_with_gradients_of_1_and_1000_move_the_weights_equally() -> None:
    # Directions off the axes, since AdamW on its own makes single coordinates equal.
    half = math.sqrt(0.5)
    directions = {"a": torch.tensor([half, half]).double(), "b": torch.tensor([half, -half]).double()}
    mirrored = {"a": directions["b"], "b": directions["a"]}
    norms, shares = {"a": 1.0, "b": 1000.0}, {"a": 0.5, "b": 0.5}

    def balanced(weight: Tensor) -> TaskBalancedAdamW:
        return TaskBalancedAdamW([weight], lr=1e-3, shares=shares)

    def plain(weight: Tensor) -> torch.optim.Optimizer:
        return torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.0)

    def ways(optimizer: Callable[[Tensor], Any]) -> tuple[float, float]:
        """How far one and the same direction is gone when it is a's, and when it is b's, all else equal."""
        as_a = displacement(norms, directions, optimizer, "abba" * 100) @ directions["a"]
        as_b = displacement(norms, mirrored, optimizer, "baab" * 100) @ directions["a"]
        return float(as_a), float(as_b)

    as_a, as_b = ways(balanced)
    assert as_a < -0.05
    assert as_a == pytest.approx(as_b, rel=1e-6)
    of_quiet, of_loud = ways(plain)
    assert abs(of_quiet) < 0.1 * abs(of_loud), "AdamW alone passes, so this shows nothing"


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.floats(-12, 12), st.sampled_from(HEADS))
def test_the_scale_of_a_loss_changes_nothing(exponent: float, scaled: str) -> None:
    models = [Heads(), Heads()]
    for model, scale in zip(models, (1.0, 10.0**exponent), strict=True):
        optimizer = TaskBalancedAdamW(groups_of(model), lr=1.0, shares=SHARES)
        for update, task in enumerate(ORDER):
            optimizer.zero_grad()
            optimizer.task = task
            loss_of(model, task, update, scale if task == scaled else 1.0).backward()
            optimizer.step()
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_one_loss_a_thousand_times_as_large_in_float32() -> None:
    models = [Heads(torch.float32), Heads(torch.float32)]
    for model, scale in zip(models, (1.0, 1000.0), strict=True):
        optimizer = TaskBalancedAdamW(groups_of(model), lr=1.0, shares=SHARES)
        for update, task in enumerate(ORDER):
            optimizer.zero_grad()
            optimizer.task = task
            loss_of(model, task, update, scale if task == "read" else 1.0).backward()
            optimizer.step()
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def moment(state: dict[str, Any]) -> Tensor:
    return cast(Tensor, state["exp_avg"] * History(*state["history"]).scale)


@pytest.mark.parametrize("untouched", ["skip", "decay"])
def test_the_moment_averages_to_the_sum_over_tasks(untouched: Untouched) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {"ask": 1.0, "detect": 0.5, "read": 2.0}
    shared, pair = (nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))
    directions = {task: torch.randn(2, 3, generator=generator, dtype=torch.float64) for task in SHARES}
    optimizer = TaskBalancedAdamW(
        [shared, pair], lr=0.0, shares=SHARES, weights=weights, fractions=(0.004, 0.004), untouched=untouched
    )
    schedule = TaskSchedule(SHARES, seed=0)
    for update in range(4000):
        optimizer.task = task = schedule.task(update)
        shared.grad, second = directions[task].clone()
        pair.grad = None if task == "read" else second
        optimizer.step()
    lengths = {t: (d if t != "read" else d[:1]).norm() for t, d in directions.items()}
    means = {t: weights[t] * directions[t] / lengths[t] for t in SHARES}
    state = optimizer.state[shared]
    expected = means["ask"][0] + means["detect"][0] + means["read"][0]
    torch.testing.assert_close(moment(state), expected, rtol=0.03, atol=0.03)
    state = optimizer.state[pair]
    expected = means["ask"][1] + means["detect"][1]
    torch.testing.assert_close(moment(state), expected, rtol=0.03, atol=0.03)


def test_one_task_is_adamw_on_gradients_of_length_1() -> None:
    models = [Heads(), Heads()]
    optimizer = TaskBalancedAdamW(models[0].parameters(), lr=0.01, shares={"ask": 1.0}, weight_decay=0.1)
    adamw = torch.optim.AdamW(models[1].parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    train(models[0], optimizer, ["ask"] * 9)
    for update in range(9):
        adamw.zero_grad()
        loss_of(models[1], "ask", update).backward()
        nn.utils.clip_grad_norm_(models[1].parameters(), 1e-3)  # far below the norms
        for parameter in models[1].parameters():
            if parameter.grad is not None:
                parameter.grad *= 1e3
        adamw.step()
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_a_head_of_one_task_takes_adamw_steps_however_rare_it_is() -> None:
    shares = {"rare": 0.02, "often": 0.98}
    head, trunk = (nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))
    alone = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = TaskBalancedAdamW([head, trunk], lr=0.01, shares=shares)
    adamw = torch.optim.AdamW([alone], lr=0.01, betas=(0.9, 0.99), weight_decay=0.0)
    generator = torch.Generator().manual_seed(0)
    for update in range(200):
        optimizer.task = task = "rare" if update % 50 == 7 else "often"
        gradient = torch.randn(3, generator=generator, dtype=torch.float64)
        trunk.grad, head.grad = None, None
        if task == "often":
            trunk.grad = gradient
        else:
            head.grad = gradient
            alone.grad = gradient / gradient.norm()
            adamw.step()
        optimizer.step()
    torch.testing.assert_close(head, alone, rtol=1e-9, atol=1e-12)


def test_a_gradient_of_zero_lets_the_moments_decay() -> None:
    weight = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = TaskBalancedAdamW([weight], lr=0.1, shares={"a": 1.0}, fractions=(0.1, 0.01))
    optimizer.task = "a"
    weight.grad = torch.tensor([3.0, 4.0]).double()
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = torch.zeros(2).double()
    optimizer.step()
    m = 0.9 * 0.1 * torch.tensor([0.6, 0.8]).double() / (1 - 0.9**2)
    n = 0.99 * 0.01 * torch.tensor([0.36, 0.64]).double() / (1 - 0.99**2)
    torch.testing.assert_close(weight.detach(), before - 0.1 * m / (n.sqrt() + 1e-8))


def test_only_gradients_of_zero_move_nothing() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = TaskBalancedAdamW([weight], lr=0.1, shares={"a": 1.0})
    optimizer.task = "a"
    weight.grad = torch.zeros(2)
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(2))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_destroy_nothing(bad: float, caplog: pytest.LogCaptureFixture) -> None:
    models = [Heads(), Heads()]
    optimizers = [TaskBalancedAdamW(groups_of(model), lr=1.0, shares=SHARES) for model in models]
    for model, optimizer in zip(models, optimizers, strict=True):
        train(model, optimizer, ORDER[:5])
    optimizers[0].zero_grad()
    optimizers[0].task = "ask"
    (loss_of(models[0], "ask", 5) * bad).backward()
    optimizers[0].step()
    assert "nothing was updated" in caplog.text
    for model, optimizer in zip(models, optimizers, strict=True):
        train(model, optimizer, ORDER, start=5)
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_gradients_whose_squares_leave_float32() -> None:
    ways = []
    for size in (1.0, 1e17, 1e-17):
        weight = nn.Parameter(torch.zeros(3))
        optimizer = TaskBalancedAdamW([weight], lr=0.1, shares={"a": 0.5, "b": 0.5})
        for update in range(6):
            optimizer.task = "ab"[update % 2]
            weight.grad = torch.tensor([1.0, -2e-4, 3e-4 * (-1) ** update]) * (size if update % 2 else 1.0)
            optimizer.step()
        ways.append(weight.detach())
    torch.testing.assert_close(ways[1], ways[0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(ways[2], ways[0], rtol=1e-5, atol=1e-7)


def through_a_file(state: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("distributed", [False, True], ids=["state_dict", "checkpoint"])
@pytest.mark.parametrize("stop", [0, 1, 7])
def test_resumed_equals_untouched(stop: int, distributed: bool) -> None:
    def fresh() -> tuple[Heads, TaskBalancedAdamW]:
        model = Heads(torch.float32)
        groups = groups_of(model)
        groups.append({"params": [groups[0]["params"].pop(0)], "orthogonal": True, "lr": 0.02})
        return model, TaskBalancedAdamW(groups, lr=1.0, shares=SHARES)

    whole, optimizer = fresh()
    train(whole, optimizer, ORDER)
    model, optimizer = fresh()
    train(model, optimizer, ORDER[:stop])
    # What the trainer does.
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    if distributed:
        saved = through_a_file(get_optimizer_state_dict(model, optimizer, options=options))
    else:
        saved = through_a_file(optimizer.state_dict())
    resumed, optimizer = fresh()
    resumed.load_state_dict(model.state_dict())
    if distributed:
        options = StateDictOptions(full_state_dict=True)
        set_optimizer_state_dict(resumed, optimizer, saved, options=options)
    else:
        optimizer.load_state_dict(saved)
    train(resumed, optimizer, ORDER, start=stop)
    for (name, one), other in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_the_state_of_other_tasks_is_refused() -> None:
    weight = nn.Parameter(torch.zeros(2))
    state = TaskBalancedAdamW([weight], lr=1.0, shares={"a": 0.5, "b": 0.5}).state_dict()
    with pytest.raises(ValueError, match=r"tasks \(a, b\), but these are \(a, c\)"):
        TaskBalancedAdamW([weight], lr=1.0, shares={"a": 0.5, "c": 0.5}).load_state_dict(state)
    with pytest.raises(ValueError, match=r"tasks \(\)"):
        TaskBalancedAdamW([weight], lr=1.0, shares={"a": 1.0}).load_state_dict(
            torch.optim.AdamW([weight]).state_dict()
        )


@pytest.mark.parametrize("untouched", ["skip", "decay"])
def test_matrices_take_muons_steps_on_balanced_gradients(untouched: Untouched) -> None:
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(8, 3, 2, 2, generator=generator), torch.randn(6, 5, generator=generator)]
    ours, theirs = ([nn.Parameter(start.clone()) for start in starts] for _ in range(2))
    shares = {"a": 0.25, "b": 0.75}
    balanced = TaskBalancedAdamW(
        [{"params": ours, "orthogonal": True, "weight_decay": 0.1}],
        lr=0.02,
        shares=shares,
        weights={"a": 3.0},
        untouched=untouched,
    )
    muon = Muon([{"params": theirs, "orthogonal": True, "weight_decay": 0.1}], lr=0.02)
    # The first update is of a and leaves the second matrix alone, so that it is known as b's from the start.
    for task in "abbabbaab":
        balanced.task = task
        gradients = [torch.randn(start.shape, generator=generator) * 50 for start in starts]
        ours[0].grad, ours[1].grad = gradients[0], None if task == "a" else gradients[1]
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in ours if p.grad is not None))
        length = (3.0 if task == "a" else 1.0) / norm
        theirs[0].grad = gradients[0] * length / shares[task]
        if task == "b":
            theirs[1].grad = gradients[1] * length
        else:
            theirs[1].grad = torch.zeros_like(starts[1]) if untouched == "decay" else None
        balanced.step()
        muon.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_builder_sorts_every_trainable_parameter_into_one_group() -> None:
    model = InternImageClassifier(INTERNIMAGE_NANO, num_classes=10)
    model.backbone.stem.requires_grad_(False)
    rules = parameter_rules(model, weight_decay=0.05, layer_decay=0.9)
    optimizer = build_task_balanced_optimizer(model, rules, lr=1e-3, shares=SHARES, orthogonal=True)
    members = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    scale = {rule.name: rule.lr_scale for rule in rules}
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert groups[id(parameter)]["lr"] == pytest.approx(1e-3 * scale[name])
            assert groups[id(parameter)]["orthogonal"] == (name in hidden_matrices(model))
    plain = build_task_balanced_optimizer(model, rules, lr=1e-3, shares=SHARES, weights={"ask": 2.0})
    assert not any(group["orthogonal"] for group in plain.param_groups)
    assert plain.weights == {"ask": 2.0, "detect": 1.0, "read": 1.0}


def test_a_group_that_joins_later_leaves_the_others_alone() -> None:
    weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    optimizer = TaskBalancedAdamW(weights[:1], lr=0.1, shares={"a": 1.0})
    optimizer.task = "a"
    weights[0].grad = torch.tensor([1.0, 2.0])
    optimizer.step()
    optimizer.add_param_group({"params": weights[1:]})
    weights[1].grad = torch.ones(2)
    optimizer.step()
    assert [History(*optimizer.state[weight]["history"]).updates for weight in weights] == [2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": {"a": 0.5, "b": 0.6}}, "must have the sum 1"),
        ({"shares": {}}, "must have the sum 1"),
        ({"shares": {"a": 1.0, "b": 0.0}}, "share of task 'b' is 0.0"),
        ({"shares": {"a": math.nan}}, "share of task 'a' is nan"),
        ({"weights": {"c": 1.0}}, "weights has 'c'"),
        ({"weights": {"a": 0.0}}, "weight of task 'a' is 0.0"),
        ({"weights": {"a": math.nan}}, "weight of task 'a' is nan"),
        ({"fractions": (0.9, 0.0)}, r"fractions=\(0.9, 0.0\)"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"untouched": "forget"}, "untouched='forget'"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    settings_ = {"lr": 0.1, "shares": {"a": 0.5, "b": 0.5}, **changes}
    with pytest.raises(ValueError, match=message):
        TaskBalancedAdamW([nn.Parameter(torch.zeros(2))], **settings_)


def test_the_task_must_be_known() -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = TaskBalancedAdamW([weight], lr=0.1, shares={"a": 1.0})
    weight.grad = torch.ones(2)
    with pytest.raises(ValueError, match="set its task first"):
        optimizer.step()
    with pytest.raises(ValueError, match="task='b' has no share; the tasks are a"):
        optimizer.task = "b"


def test_two_processes_learn_as_one_whole_or_sharded(tmp_path: Path) -> None:
    model = Heads(torch.float32)
    optimizer = TaskBalancedAdamW(groups_of(model), lr=1.0, shares=SHARES)
    train(model, optimizer, ORDER)
    results = tmp_path / "weights.pt"
    script = Path(__file__).with_name("run_task_balance.py")
    finish(start_processes([sys.executable, str(script), str(results)], 2))
    for kind, weights in torch.load(results, weights_only=True).items():
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(
                weights[name], parameter.detach(), rtol=1e-3, atol=1e-4, msg=f"{kind} {name}"
            )


@dataclass
class TaskBatch:
    """A batch as the trainer wants it."""

    task: str
    update: int

    def to(self, _device: torch.device) -> TaskBatch:
        return self


def trainer_of(output: Path, *, max_seconds: float = 0.0, bad_update: int = -1) -> Trainer:
    from accelerate import Accelerator

    output.mkdir(exist_ok=True)
    schedule = TaskSchedule(SHARES, seed=4)
    accelerator = Accelerator(cpu=True)
    bare = Heads(torch.float32)
    balanced = TaskBalancedAdamW(groups_of(bare), lr=1.0, shares=schedule.shares)
    model, optimizer = accelerator.prepare(bare, balanced)

    def objective(model: nn.Module, batch: TaskBatch) -> tuple[Tensor, dict[str, float]]:
        balanced.task = batch.task
        scale = math.nan if batch.update == bad_update else 1.0
        return loss_of(cast(Heads, model), batch.task, batch.update, scale), {}

    def batches(start: int) -> Iterator[TaskBatch]:
        return (TaskBatch(schedule.task(update), update) for update in range(start, 12))

    return Trainer(
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        schedule=FactorSchedule(balanced, RateCurve(kind="cosine", num_updates=12, warmup_updates=3)),
        objective=objective,
        batches=batches,
        settings=LoopSettings(
            output=output,
            num_updates=12,
            updates_per_epoch=12,
            accumulation=1,
            clip=0.0,
            seed=0,
            bfloat16=False,
            eval_every=1,
            log_every=1,
            save_every_seconds=3600.0,
            max_seconds=max_seconds,
            tensorboard=False,
            fingerprint="{}",
        ),
        reporter=Silent(),
    )


def test_the_trainer_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    whole = trainer_of(tmp_path / "whole")
    assert whole.run()
    for update in range(4):
        part = trainer_of(tmp_path / "parts", max_seconds=1e-6)
        assert part.resume() == (update > 0)
        assert not part.run()
    last = trainer_of(tmp_path / "parts")
    assert last.resume()
    assert last.state.update == 4
    assert last.run()
    for one, other in zip(whole.model.parameters(), last.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_trainer_reports_divergence_and_the_weights_survive(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, bad_update=5)
    with pytest.raises(TrainingDivergedError, match="between updates 5 and 6"):
        trainer.run()
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())
