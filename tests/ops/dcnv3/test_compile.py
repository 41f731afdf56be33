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
from intern25.ops.dcnv3 import reference, schema
from intern25.ops.dcnv3.module import DCNv3
from tests.ops.dcnv3.cases import CASES, inputs, with_softmax


def _layer(backend: BackendName = "auto") -> DCNv3:
    layer = DCNv3(16, groups=2, backend=backend)
    for linear in (layer.offset, layer.mask):
        nn.init.normal_(linear.weight, std=0.2)
        nn.init.normal_(linear.bias, std=0.5)
    return layer


def _gradients(function: Any, layer: nn.Module, x: Tensor) -> list[Tensor]:
    leaves = [x.detach().requires_grad_(), *layer.parameters()]
    output = function(leaves[0])
    return [output, *torch.autograd.grad(output.square().sum(), leaves)]


@pytest.mark.parametrize("softmax", [False, True], ids=["weights", "logits"])
@pytest.mark.parametrize("name", ["3x3", "tall-kernel-all-unequal", "empty-batch"])
def test_opcheck(name: str, softmax: bool) -> None:
    *tensors, grad = inputs(CASES[name], softmax=softmax)
    arguments = schema._arguments(with_softmax(CASES[name], softmax))
    leaves = [tensor.requires_grad_() for tensor in tensors]
    torch.library.opcheck(torch.ops.intern25.dcnv3.default, (*leaves, *arguments))
    plain = [tensor.detach() for tensor in tensors]
    torch.library.opcheck(torch.ops.intern25.dcnv3_backward.default, (grad, *plain, *arguments))


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_compiles_without_graph_breaks(backend: BackendName, dynamic: bool) -> None:
    layer = _layer(backend)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for height in (5, 6):
        x = torch.randn(2, height, 6, 16)
        for one, other in zip(_gradients(compiled, layer, x), _gradients(layer, layer, x), strict=True):
            assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_compiles_the_function_with_pairs() -> None:
    case = CASES["wide-kernel"]
    *tensors, _ = inputs(case)

    def call(x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return ops.dcnv3(x, offset, mask, kernel_size=(3, 5), padding=(1, 2), groups=2)

    compiled = torch.compile(call, fullgraph=True, backend="eager")
    assert_close(compiled(*tensors), call(*tensors))


@pytest.mark.slow
def test_compiles_with_inductor() -> None:
    layer = _layer()
    x = torch.randn(2, 5, 6, 16)
    compiled = torch.compile(layer, fullgraph=True, dynamic=False)  # inductor 2.14 fails on LN of free sizes
    for one, other in zip(_gradients(compiled, layer, x), _gradients(layer, layer, x), strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)


def _export(layer: nn.Module, strict: bool) -> torch.export.ExportedProgram:
    height, width = torch.export.Dim("height", min=3, max=64), torch.export.Dim("width", min=3, max=64)
    shapes = {"x_nhwc": {0: torch.export.Dim("batch"), 1: height, 2: width}}
    return torch.export.export(layer, (torch.randn(2, 5, 6, 16),), strict=strict, dynamic_shapes=shapes)


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "non-strict"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_exports_with_free_sizes(backend: BackendName, strict: bool) -> None:
    layer = _layer(backend).eval()
    program = _export(layer, strict)
    for shape in ((1, 4, 7, 16), (3, 9, 3, 16)):
        x = torch.randn(shape)
        assert_close(program.module()(x), layer(x), rtol=1e-4, atol=1e-5)
    ours = [node for node in program.graph.nodes if "intern25" in str(node.target)]
    assert len(ours) == (1 if backend == "auto" else 0)
    if backend == "reference":
        assert any("grid_sampler" in str(node.target) for node in program.graph.nodes)


def test_onnx_holds_standard_operators_only() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    layer = _layer().eval()  # backend "auto": an ONNX export takes the standard operators by itself
    x = torch.randn(1, 5, 6, 16)
    program = torch.onnx.export(layer, (x,), dynamo=True)
    nodes = list(program.model.graph)
    assert {node.domain for node in nodes} <= {"", "ai.onnx"}
    assert "GridSample" in {node.op_type for node in nodes}
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (output,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_close(torch.from_numpy(output), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_autocast_runs_in_the_type_of_x(backend: BackendName) -> None:
    layer = _layer(backend)
    x = torch.randn(2, 5, 6, 16)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x)
        case = CASES["3x3"]
        wide, offset, mask, _ = inputs(case, torch.float32)
        mixed = ops.dcnv3(wide.bfloat16(), offset, mask, groups=2, backend=backend)
    assert output.dtype == torch.bfloat16
    assert_close(output.float(), layer(x), rtol=0.1, atol=0.05)  # two matrix products in 8 bits of mantissa
    assert mixed.dtype == torch.bfloat16
    same = ops.dcnv3(wide.bfloat16(), offset.bfloat16(), mask.bfloat16(), groups=2, backend=backend)
    assert_close(mixed, same, rtol=0, atol=0)


def test_vmap_folds_into_the_batch() -> None:
    case, sets = CASES["stride-2"], 3
    x, offset, mask, _ = inputs(case)
    arguments = {"stride": 2, "groups": case.geometry.groups}
    xs = torch.randn(sets, *x.shape, dtype=x.dtype)
    masks = torch.randn(*mask.shape, sets, dtype=x.dtype)
    actual = torch.func.vmap(lambda x, mask: ops.dcnv3(x, offset, mask, **arguments), in_dims=(0, 4))(
        xs, masks
    )
    expected = torch.stack([ops.dcnv3(xs[i], offset, masks[..., i], **arguments) for i in range(sets)])
    assert_close(actual, expected)


def test_backward_folds_into_the_batch() -> None:
    case, sets = CASES["3x3"], 3
    x, offset, mask, grad = inputs(case)
    arguments = schema._arguments(case.geometry)
    grads = torch.randn(sets, *grad.shape, dtype=grad.dtype)
    actual = torch.func.vmap(
        lambda grad: torch.ops.intern25.dcnv3_backward(grad, x, offset, mask, *arguments)
    )(grads)
    for i in range(sets):
        expected = reference.backward(grads[i], x, offset, mask, case.geometry)
        assert_close(tuple(gradient[i] for gradient in actual), expected)


def test_functional_gradients_of_the_reference() -> None:
    """torch offers no functorch gradients of registered operators; the reference has them."""
    case = CASES["3x3"]
    x, offset, mask, grad = inputs(case)

    def loss(mask: Tensor) -> Tensor:
        return (ops.dcnv3(x, offset, mask, groups=2, backend="reference") * grad).sum()

    assert_close(torch.func.grad(loss)(mask), reference.backward(grad, x, offset, mask, case.geometry)[2])


def test_the_exportable_form_has_second_derivatives() -> None:
    case = CASES["one-pixel-wide"]
    *tensors, _ = inputs(case)
    leaves = [tensor.requires_grad_() for tensor in tensors]
    assert torch.autograd.gradgradcheck(
        lambda *args: reference.forward_exportable(*args, case.geometry), leaves, fast_mode=True
    )


@pytest.mark.parametrize("reentrant", [False, True], ids=["hooks", "reentrant"])
def test_checkpointing_gives_the_same_gradients(reentrant: bool) -> None:
    layer, x = _layer(), torch.randn(2, 5, 6, 16)
    saved = _gradients(layer, layer, x)
    leaf = x.detach().requires_grad_()
    output = checkpoint(layer, leaf, use_reentrant=reentrant)
    output.square().sum().backward()
    again = [leaf.grad, *(parameter.grad for parameter in layer.parameters())]
    for one, other in zip(again, saved[1:], strict=True):
        assert_close(one, other)


def test_inference_mode() -> None:
    layer, x = _layer(), torch.randn(2, 5, 6, 16)
    with torch.inference_mode():
        output = layer(x)
    assert output.is_inference()
    assert_close(output, layer(x).detach())
