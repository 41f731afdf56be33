"""``optimize`` against the model it rewrites: same outputs, weights held once, every fallback."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from intern25.backbones import fused, merged
from intern25.backbones import optimize as module
from intern25.backbones.classifier import InternImageClassifier
from intern25.backbones.fused import FusedStage
from intern25.backbones.internimage import InternImage, InternImageConfig
from intern25.backbones.merged import MergedDCNv3
from intern25.backbones.optimize import optimize
from intern25.ops import native
from intern25.ops.backends import Ready, Refusal
from intern25.ops.dcnv3.module import DCNv3
from intern25.ops.fused import kernels

PLAIN = InternImageConfig(channels=32, depths=(1, 1, 2, 1), groups=(2, 4, 8, 16))
POST = replace(
    PLAIN, channels=80, groups=(5, 10, 20, 40), block_norm="post", layer_scale=0.5, offset_scale=2.0
)
HUGE = replace(
    PLAIN,
    channels=64,
    block_norm="res_post",
    dw_kernel_size=5,
    center_feature_scale=True,
    extra_norm_blocks=(0,),
)
GIANT = replace(HUGE, block_norm="post")
CONFIGS = {
    "pre-norm": PLAIN,
    "pre-norm, layer scale": replace(PLAIN, layer_scale=0.5),
    "post-norm, layer scale": POST,
    "both norms, gate": HUGE,
    "post-norm, gate": GIANT,
    "remove centre": replace(PLAIN, remove_center=True),
    "odd MLP": replace(PLAIN, mlp_ratio=2.5),
}
UNFUSED = {
    "batch norm": replace(PLAIN, norm="BN"),
    "SiLU": replace(PLAIN, activation="SiLU"),
}
needs_library = pytest.mark.skipif(
    not isinstance(kernels.status(), Ready), reason="the native library is not built here"
)
# One float32 rounding is 6e-8; the maps pass some 50 layers whose sums are ordered differently.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.06, torch.float64: 1e-12}


@pytest.fixture(autouse=True)
def two_threads_without_gradients() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with torch.no_grad():
        yield
    torch.set_num_threads(before)


def make_backbone(config: InternImageConfig) -> InternImage:
    return randomise(InternImage(config))


def make_classifier(config: InternImageConfig) -> InternImageClassifier:
    return randomise(InternImageClassifier(config, num_classes=10))


def randomise(model: Any) -> Any:
    """Weights under which every layer matters: nothing zero, nothing one, samples really deformed."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
        elif "offset" in name or "mask" in name or "center_feature" in name:
            nn.init.normal_(parameter, std=0.05)
    for child in model.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.running_mean.normal_()
            child.running_var.uniform_(0.5, 2.0)
    return model.eval()


def deviation(expected: list[Tensor], actual: list[Tensor]) -> float:
    """Largest difference over the standard deviation of the map it is in."""
    return max(
        float((e - a.to(e.dtype)).abs().max() / e.std()) for e, a in zip(expected, actual, strict=True)
    )


@needs_library
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (2, 3, 97, 130)], ids=str)
def test_same_maps(name: str, shape: tuple[int, ...]) -> None:
    model, x = make_backbone(CONFIGS[name]), torch.randn(shape)
    expected = model(x)
    optimized = optimize(model, copy=True)
    assert all(isinstance(stage, FusedStage) for stage in optimized.stages)
    assert deviation(expected, optimized(x)) < TOLERANCE[torch.float32]


@needs_library
@pytest.mark.parametrize("name", ["pre-norm", "post-norm, layer scale", "both norms, gate"])
def test_every_instruction_set_gives_the_same_maps(name: str) -> None:
    model, x = make_backbone(CONFIGS[name]), torch.randn(1, 3, 96, 64)
    expected, before = model(x), native.instruction_set()
    optimized, small = optimize(model, copy=True), optimize(model, copy=True, dtype=torch.bfloat16)
    for instruction_set in native.available_instruction_sets():
        native.set_instruction_set(instruction_set)
        try:
            assert deviation(expected, optimized(x)) < TOLERANCE[torch.float32], instruction_set
            assert deviation(expected, small(x)) < TOLERANCE[torch.bfloat16], instruction_set
        finally:
            native.set_instruction_set(before)


@needs_library
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing_but_rounding(threads: int) -> None:
    # 1 thread runs whole blocks a chunk, 5 threads on these small maps split every layer by outputs.
    model, x = make_backbone(HUGE), torch.randn(1, 3, 64, 96)
    expected, optimized = model(x), optimize(model, copy=True)
    torch.set_num_threads(threads)
    assert deviation(expected, optimized(x)) < TOLERANCE[torch.float32]


def test_classifier_logits_and_pooled_features() -> None:
    model, x = make_classifier(PLAIN), torch.randn(2, 3, 64, 64)
    expected, pooled = model(x), model.forward_head(model.forward_features(x), pre_logits=True)
    optimized = optimize(model, copy=True)
    assert isinstance(optimized, InternImageClassifier)
    assert deviation([expected], [optimized(x)]) < TOLERANCE[torch.float32]
    features = optimized.forward_features(x)
    assert deviation([pooled], [optimized.forward_head(features, pre_logits=True)]) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", [*CONFIGS, *UNFUSED])
@pytest.mark.parametrize("prepacked", [True, False])
def test_without_the_native_library(name: str, prepacked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "status", lambda: Refusal("not built"))
    if not prepacked:
        monkeypatch.setattr(merged, "has_prepacked_linear", lambda dtype: False)
    model, x = make_backbone((CONFIGS | UNFUSED)[name]), torch.randn(2, 3, 64, 64)
    expected, optimized = model(x), optimize(model, copy=True)
    assert any(isinstance(child, MergedDCNv3) for child in optimized.modules())
    assert deviation(expected, optimized(x)) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", UNFUSED)
def test_unusual_settings_fall_back(name: str) -> None:
    model, x = make_classifier(UNFUSED[name]), torch.randn(2, 3, 64, 64)
    expected, optimized = model(x), optimize(model, copy=True)
    assert not any(isinstance(child, FusedStage) for child in optimized.modules())
    assert deviation([expected], [optimized(x)]) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("fused", [True, False])
def test_bfloat16_takes_any_image_and_gives_bfloat16(fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "prefers_torch", lambda dtype: not fused)
    model, x = make_classifier(PLAIN), torch.randn(2, 3, 64, 64)
    expected, optimized = model(x), optimize(model, copy=True, dtype=torch.bfloat16)
    for image in (x, x.bfloat16()):
        logits = optimized(image)
        assert logits.dtype == torch.bfloat16
        assert deviation([expected], [logits]) < TOLERANCE[torch.bfloat16]


def test_float64_stays_exact() -> None:
    model, x = make_classifier(PLAIN).double(), torch.randn(1, 3, 64, 64).double()
    expected, optimized = model(x), optimize(model, copy=True)
    assert deviation([expected], [optimized(x)]) < TOLERANCE[torch.float64]


def test_backbone_inside_another_model_is_found() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.ModuleDict({"backbone": make_backbone(PLAIN)})
            self.head = nn.Conv2d(256, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.inner["backbone"](x)[-1])

    model, x = Detector().eval(), torch.randn(1, 3, 64, 64)
    expected, optimized = model(x), optimize(model, copy=True)
    assert not any(isinstance(child, DCNv3) for child in optimized.modules())
    assert deviation([expected], [optimized(x)]) < TOLERANCE[torch.float32]


def test_model_without_internimage_only_changes_type() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    x = torch.randn(2, 3)
    expected = model(x)
    assert torch.equal(optimize(model)(x), expected)
    assert optimize(nn.ReLU())(torch.tensor([-1.0])).item() == 0


def test_in_place_by_default_and_weights_are_released() -> None:
    model = make_classifier(PLAIN)
    x = torch.randn(1, 3, 64, 64)
    expected = model(x)
    storages = [weakref.ref(p) for name, p in model.named_parameters() if not name.startswith("classifier")]
    optimized = optimize(model)
    assert optimized is model
    assert deviation([expected], [model(x)]) < TOLERANCE[torch.float32]
    if isinstance(kernels.status(), Ready):
        gc.collect()
        assert not [reference for reference in storages if reference() is not None]


@needs_library
def test_packed_weights_are_as_large_as_the_weights() -> None:
    model = make_classifier(replace(PLAIN, channels=64, groups=(4, 8, 16, 32)))
    weights = sum(parameter.numel() for parameter in model.parameters())
    for dtype, size in ((torch.float32, 4), (torch.bfloat16, 2)):
        held = tensor_bytes(optimize(model, copy=True, dtype=dtype))
        # Padding to 32 outputs and the float32 norms and biases of the bfloat16 model.
        assert size * weights * 0.95 < held < size * weights * 1.15


def tensor_bytes(model: nn.Module) -> int:
    found = {id(t): t for t in gc_tensors(model)}
    return sum(t.numel() * t.element_size() for t in found.values())


def gc_tensors(root: object) -> list[Tensor]:
    seen, queue, tensors = set(), [root], []
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        if isinstance(item, Tensor):
            tensors.append(item)
        elif isinstance(item, dict):
            queue.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            queue.extend(item)
        elif isinstance(item, nn.Module):
            queue.append(vars(item))
        elif hasattr(item, "__slots__"):
            queue.extend(getattr(item, name) for name in item.__slots__)
    return tensors


@needs_library
def test_weights_are_released_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_backbone(replace(PLAIN, depths=(1, 1, 6, 1)))
    blocks = [weakref.ref(block.mlp.function.fc1.weight) for block in model.stages[2].blocks]
    alive: list[int] = []
    pack = fused._pack_block

    def pack_and_count(*arguments: Any) -> Any:
        gc.collect()
        alive.append(sum(reference() is not None for reference in blocks))
        return pack(*arguments)

    monkeypatch.setattr(fused, "_pack_block", pack_and_count)
    optimize(model)
    # The first block's geometry is read at the end, so it stays; the others go as they are packed.
    assert alive[2:8] == [6, 6, 5, 4, 3, 2]


def test_copy_leaves_the_model_as_it_was() -> None:
    model = make_classifier(PLAIN).train()
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(2, 3, 64, 64)
    optimized = optimize(model, copy=True)
    logits = optimized(x)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    for parameter in model.parameters():
        parameter.add_(1.0)
    assert torch.equal(optimized(x), logits), "the copy shares weights with the model"
    assert before.keys() == model.state_dict().keys()


def test_results_do_not_alias() -> None:
    optimized = optimize(make_backbone(PLAIN))
    x = torch.randn(1, 3, 64, 64)
    first = optimized(x)
    kept = [map_.clone() for map_ in first]
    optimized(torch.randn(1, 3, 64, 64))
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


def test_optimized_model_can_be_copied_and_pickled() -> None:
    optimized = optimize(make_classifier(PLAIN))
    x = torch.randn(1, 3, 64, 64)
    logits = optimized(x)
    twin = copy.deepcopy(optimized)
    assert torch.equal(twin(x), logits)
    if not any(
        child.is_prepacked for child in optimized.modules() if isinstance(child, merged.InferenceLinear)
    ):
        assert torch.equal(pickle.loads(pickle.dumps(optimized))(x), logits)
    del optimized
    assert torch.equal(twin(x), logits)


@pytest.mark.parametrize("shape", [(0, 3, 64, 64), (1, 3, 33, 33), (1, 3, 1, 1)], ids=str)
def test_odd_inputs(shape: tuple[int, ...]) -> None:
    model, x = make_backbone(PLAIN), torch.randn(shape)
    expected, actual = model(x), optimize(model, copy=True)(x)
    assert [e.shape for e in expected] == [a.shape for a in actual]
    assert all(torch.allclose(e, a, atol=1e-4) for e, a in zip(expected, actual, strict=True))


def test_image_of_wrong_shape_is_refused_as_before() -> None:
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        optimize(make_backbone(PLAIN))(torch.zeros(3, 64, 64))


def test_non_contiguous_images() -> None:
    model, x = make_backbone(PLAIN), torch.randn(2, 64, 64, 3).permute(0, 3, 1, 2)[:, :, ::2, :]
    assert deviation(model(x), optimize(model, copy=True)(x)) < TOLERANCE[torch.float32]


def test_optimizing_twice_is_harmless() -> None:
    model, x = make_classifier(PLAIN), torch.randn(1, 3, 64, 64)
    expected = model(x)
    assert deviation([expected], [optimize(optimize(model))(x)]) < TOLERANCE[torch.float32]


def test_wrong_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="int8"):
        optimize(make_backbone(PLAIN), dtype=torch.int8)
