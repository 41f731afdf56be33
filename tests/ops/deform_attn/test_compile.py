# SPDX-License-Identifier: MIT
"""The operator under torch's transformations: opcheck, compile, export, autocast, vmap, checkpointing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from intern25 import ops
from intern25.ops.backends import BackendName
from intern25.ops.deform_attn import reference, schema
from intern25.ops.deform_attn.module import MultiScaleDeformableAttention
from tests.ops.deform_attn.cases import CASES, inputs


class _Pyramid(nn.Module):
    """Self-attention over the tokens of two maps, their sizes taken from the maps as a model does."""

    def __init__(self, backend: BackendName) -> None:
        super().__init__()
        self.attention = MultiScaleDeformableAttention(16, heads=2, levels=2, points=3, backend=backend)
        nn.init.normal_(self.attention.sampling_offsets.weight, std=0.3)
        nn.init.normal_(self.attention.attention_weights.weight, std=0.3)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        shapes = [tuple(level.shape[2:]) for level in (fine, coarse)]
        tokens = torch.cat([level.flatten(2) for level in (fine, coarse)], dim=2).transpose(1, 2)
        references = tokens[:, :, None, :2].sigmoid().expand(-1, -1, 2, -1)
        return self.attention(tokens, references, tokens, shapes)


def _maps(height: int, width: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, 16, height, width), torch.randn(batch, 16, height // 2, width // 2)


def _gradients(function: Any, model: nn.Module, maps: tuple[Tensor, ...]) -> list[Tensor]:
    leaves = [*(level.detach().requires_grad_() for level in maps), *model.parameters()]
    output = function(*leaves[:2])
    return [output, *torch.autograd.grad(output.square().sum(), leaves)]


@pytest.mark.parametrize("name", ["pyramid", "one-pixel-levels", "empty-batch", "no-query"])
def test_opcheck(name: str) -> None:
    sizes = schema.flat(CASES[name].shapes)
    *tensors, grad = inputs(CASES[name])
    leaves = [tensor.requires_grad_() for tensor in tensors]
    torch.library.opcheck(torch.ops.intern25.deform_attn.default, (leaves[0], sizes, *leaves[1:]))
    value, locations, weights = (tensor.detach() for tensor in tensors)
    torch.library.opcheck(
        torch.ops.intern25.deform_attn_backward.default, (grad, value, sizes, locations, weights)
    )


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_compiles_without_graph_breaks(backend: BackendName, dynamic: bool) -> None:
    model = _Pyramid(backend)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for height in (6, 8):
        maps = _maps(height, 10)
        for one, other in zip(_gradients(compiled, model, maps), _gradients(model, model, maps), strict=True):
            assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_compiles_with_inductor() -> None:
    model, maps = _Pyramid("auto"), _maps(6, 8)
    compiled = torch.compile(model, fullgraph=True)
    for one, other in zip(_gradients(compiled, model, maps), _gradients(model, model, maps), strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-4)


def _export(model: nn.Module, strict: bool) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch")
    free = {0: batch, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    return torch.export.export(
        model, _maps(6, 10), strict=strict, dynamic_shapes={"fine": free, "coarse": free}
    )


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "non-strict"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_exports_with_free_sizes(backend: BackendName, strict: bool) -> None:
    model = _Pyramid(backend).eval()
    program = _export(model, strict)
    for maps in (_maps(8, 12, 1), _maps(14, 6, 3)):
        assert_close(program.module()(*maps), model(*maps), rtol=1e-4, atol=1e-5)
    ours = [node for node in program.graph.nodes if "intern25" in str(node.target)]
    assert len(ours) == (1 if backend == "auto" else 0)
    if backend == "reference":
        assert any("grid_sampler" in str(node.target) for node in program.graph.nodes)


def test_onnx_holds_standard_operators_only() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    model, maps = (
        _Pyramid("auto").eval(),
        _maps(6, 10, 1),
    )  # an ONNX export takes the standard operators by itself
    program = torch.onnx.export(model, maps, dynamo=True)
    nodes = list(program.model.graph)
    assert {node.domain for node in nodes} <= {"", "ai.onnx"}
    assert "GridSample" in {node.op_type for node in nodes}
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    feed = {given.name: level.numpy() for given, level in zip(session.get_inputs(), maps, strict=True)}
    (output,) = session.run(None, feed)
    assert_close(torch.from_numpy(output), model(*maps), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_autocast_keeps_locations_in_float32(backend: BackendName) -> None:
    model, maps = _Pyramid(backend), _maps(6, 10)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(*maps)
        case = CASES["pyramid"]
        value, locations, weights, _ = inputs(case, torch.float32)
        mixed = ops.deform_attn(value.bfloat16(), case.shapes, locations, weights.bfloat16(), backend=backend)
        widened = ops.deform_attn(value, case.shapes, locations, weights.bfloat16(), backend=backend)
    assert output.dtype == torch.bfloat16
    assert_close(output.float(), model(*maps), rtol=0.1, atol=0.1)  # matrix products in 8 bits of mantissa
    rounded = weights.bfloat16().float()
    same = ops.deform_attn(value.bfloat16(), case.shapes, locations, rounded, backend=backend)
    assert_close(mixed, same, rtol=0, atol=0)
    assert_close(widened, ops.deform_attn(value, case.shapes, locations, rounded, backend=backend))


def test_vmap_folds_into_the_batch() -> None:
    case, sets = CASES["pyramid"], 3
    value, locations, weights, grad = inputs(case)
    values = torch.randn(sets, *value.shape, dtype=value.dtype)
    many = torch.rand(*weights.shape, sets, dtype=value.dtype)
    actual = torch.func.vmap(
        lambda value, weights: ops.deform_attn(value, case.shapes, locations, weights), in_dims=(0, 5)
    )(values, many)
    for i in range(sets):
        assert_close(actual[i], ops.deform_attn(values[i], case.shapes, locations, many[..., i]))
    sizes = schema.flat(case.shapes)
    grads = torch.randn(sets, *grad.shape, dtype=grad.dtype)
    gradients = torch.func.vmap(
        lambda grad: torch.ops.intern25.deform_attn_backward(grad, value, sizes, locations, weights)
    )(grads)
    for i in range(sets):
        expected = reference.backward(grads[i], value, case.shapes, locations, weights)
        assert_close(tuple(gradient[i] for gradient in gradients), expected)


def test_the_exportable_form_has_second_derivatives() -> None:
    case = CASES["one-point"]
    value, locations, weights, _ = inputs(case)
    leaves = [tensor.requires_grad_() for tensor in (value, locations, weights)]
    assert torch.autograd.gradgradcheck(
        lambda value, *sampling: reference.forward_exportable(value, case.shapes, *sampling),
        leaves,
        fast_mode=True,
    )


@pytest.mark.parametrize("reentrant", [False, True], ids=["hooks", "reentrant"])
def test_checkpointing_gives_the_same_gradients(reentrant: bool) -> None:
    model, maps = _Pyramid("auto"), _maps(6, 8)
    saved = _gradients(model, model, maps)
    leaves = [level.detach().requires_grad_() for level in maps]
    checkpoint(model, *leaves, use_reentrant=reentrant).square().sum().backward()
    again = [*(leaf.grad for leaf in leaves), *(parameter.grad for parameter in model.parameters())]
    for one, other in zip(again, saved[1:], strict=True):
        assert_close(one, other)


def test_inference_mode_and_profiler() -> None:
    case = CASES["pyramid"]
    value, locations, weights, _ = inputs(case)
    with torch.inference_mode():
        output = ops.deform_attn(value, case.shapes, locations, weights)
    assert output.is_inference()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        profiled = ops.deform_attn(value, case.shapes, locations, weights)
    assert_close(profiled, output)
    assert "intern25::deform_attn" in {event.key for event in profile.key_averages()}
