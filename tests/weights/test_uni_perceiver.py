# SPDX-License-Identifier: MIT
"""Uni-Perceiver's published layout: a forward pass written out, published sizes, refusals, the commands."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from intern25.cli.main import main
from intern25.generalist.attributes import Attributes
from intern25.generalist.decoder import Segment
from intern25.generalist.routing import ANSWERING, MATCHING
from intern25.generalist.uni_perceiver import (
    END_ID,
    SPE_ID,
    UNI_PERCEIVER_BASE,
    UNI_PERCEIVER_LARGE,
    UNI_PERCEIVER_MOE_BASE,
    UNI_PERCEIVER_MOE_LARGE,
    UniPerceiverConfig,
    UniPerceiverEncoder,
)
from intern25.weights.adapters.uni_perceiver import LAYOUT, entry_of
from intern25.weights.convert import convert
from intern25.weights.uni_perceiver import load_uni_perceiver, parameters_of
from tests.weights.published_uni_perceiver import WIDTH, WORDS, Tensors, WrittenOut, published

BOTH = pytest.mark.parametrize("moe", [False, True], ids=["dense", "experts"])
IDS = [4, 9, 2, 17]


def saved(path: Path, tensors: Tensors) -> Path:
    torch.save({"model": tensors}, path)
    return path


def loaded(path: Path) -> UniPerceiverEncoder:
    return load_uni_perceiver(path).double()


@BOTH
@torch.no_grad()
def test_picture_and_text_are_encoded_as_the_published_code_does(tmp_path: Path, moe: bool) -> None:
    tensors = published(moe=moe)
    encoder, oracle = loaded(saved(tmp_path / "a.pth", tensors)), WrittenOut(tensors)
    video = torch.randn(2, 3, 3, 8, 8, dtype=torch.float64)
    text = torch.tensor([IDS, IDS[::-1]])
    segments = [
        Segment(tokens=encoder.picture_tokens(video), attributes=ANSWERING.image),
        Segment(tokens=encoder.text_tokens(text, special=False), attributes=ANSWERING.text),
    ]
    outputs = torch.cat(encoder(segments), dim=1)
    for row in range(2):
        picture = torch.cat((oracle.special(), oracle.video(video[row])))
        groups = [(picture, "11011000"), (oracle.text(text[row].tolist()), "11010100")]
        torch.testing.assert_close(outputs[row], oracle.encode(groups), rtol=1e-9, atol=1e-9)


@BOTH
@torch.no_grad()
def test_names_and_pictures_are_compared_as_published(tmp_path: Path, moe: bool) -> None:
    tensors = published(moe=moe, seed=3)
    encoder, oracle = loaded(saved(tmp_path / "a.pth", tensors)), WrittenOut(tensors)
    picture = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    present = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    names = torch.tensor([IDS, [*IDS[:2], 0, 0]])
    x = encoder([Segment(tokens=encoder.picture_tokens(picture), attributes=MATCHING.image)])[0]
    y = encoder(
        [
            Segment(
                tokens=encoder.text_tokens(names),
                attributes=MATCHING.target,
                present=torch.nn.functional.pad(present, (1, 0), value=True),
            )
        ]
    )[0]
    logits = encoder.logits(encoder.embed(x[:, 0]), encoder.embed(y[:, 0]), "img_cls")
    tokens = torch.cat((oracle.special(), oracle.video(picture)))
    wanted_x = oracle.embed(oracle.encode([(tokens, "10011000")])[0])
    scale = float(tensors["loss_prepare.logit_scale_img_cls"].double().exp())
    for row, ids in enumerate((IDS, IDS[:2])):
        name = oracle.encode([(torch.cat((oracle.special(), oracle.text(ids))), "10010110")])
        wanted = scale * float(wanted_x @ oracle.embed(name[0]))
        assert float(logits[0, row]) == pytest.approx(wanted, rel=1e-9)


@BOTH
@torch.no_grad()
def test_the_next_word_is_asked_for_by_a_further_special_token(tmp_path: Path, moe: bool) -> None:
    """One pass of words and ``<SPE>`` copies with the published mask, against one ``<SPE>`` at a time."""
    tensors = published(moe=moe, seed=5)
    encoder, oracle = loaded(saved(tmp_path / "a.pth", tensors)), WrittenOut(tensors)
    picture = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    prefix = torch.cat((oracle.special(), oracle.video(picture)))
    p, n = len(prefix), len(IDS)
    hidden = torch.zeros(p + 2 * n, p + 2 * n, dtype=torch.bool)
    for row in range(p + 2 * n):
        for column in range(p, p + 2 * n):
            word, asked = column - p, column - p - n
            if row < p:
                hidden[row, column] = True
            elif row < p + n:
                hidden[row, column] = word > row - p
            else:
                hidden[row, column] = word >= row - p - n if column < p + n else asked != row - p - n
    written = oracle.text([*IDS, *[WORDS - 1] * n], [*range(n), *range(n)])
    wanted = oracle.encode([(prefix, "11011000"), (written, "11010101")], hidden)[p + n :]
    for place in range(n):
        asked_at = torch.tensor([[WORDS - 1]])
        segments = [
            Segment(tokens=encoder.picture_tokens(picture), attributes=ANSWERING.image),
            Segment(
                tokens=encoder.text_tokens(torch.tensor([IDS[:place]], dtype=torch.int64), special=False),
                attributes=ANSWERING.written,
                causal=True,
            ),
            Segment(
                tokens=encoder.text_tokens(asked_at, positions=torch.tensor([place]), special=False),
                attributes=ANSWERING.written,
                causal=True,
            ),
        ]
        torch.testing.assert_close(encoder(segments)[-1][0, 0], wanted[place], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("config", "millions"), [(UNI_PERCEIVER_BASE, 124), (UNI_PERCEIVER_LARGE, 354)], ids=["base", "large"]
)
def test_sizes_are_the_published_ones(config: UniPerceiverConfig, millions: int) -> None:
    # What the authors left out of their count is not said: the read-out and positions are below 1 %.
    assert parameters_of(config) / 1e6 == pytest.approx(millions, rel=0.01)
    assert config.vocabulary - 1 == SPE_ID > END_ID


@pytest.mark.parametrize(
    ("config", "millions"),
    [(UNI_PERCEIVER_MOE_BASE, 167), (UNI_PERCEIVER_MOE_LARGE, 505)],
    ids=["base", "large"],
)
def test_merged_experts_have_the_published_size(config: UniPerceiverConfig, millions: int) -> None:
    """The published number is that of a deployed model: picture and text with merged experts each."""
    encoder_of = dataclasses.replace(config, experts=0)
    with torch.device("meta"):
        layer = UniPerceiverEncoder(encoder_of).layers[0]
    linears = sum(
        p.numel() for name, p in layer.named_parameters() if "norm" not in name and "scale" not in name
    )
    assert (parameters_of(encoder_of) + config.layers // 2 * linears) / 1e6 == pytest.approx(
        millions, rel=0.01
    )


@BOTH
def test_every_entry_of_the_layout_is_in_a_file_and_the_reverse(moe: bool) -> None:
    found = [entry_of(name)[0] for name in published(moe=moe)]
    assert None not in found
    both = {entry_of(name)[0] for kind in (False, True) for name in published(moe=kind)}
    assert both == set(LAYOUT)


@BOTH
def test_other_files_are_refused_by_name(tmp_path: Path, moe: bool) -> None:
    tensors = published(moe=moe)
    path = tmp_path / "a.pth"
    with pytest.raises(
        ValueError, match=r"1 tensors that no published model needs, the first fc_prompt\.weight"
    ):
        load_uni_perceiver(saved(path, {**tensors, "fc_prompt.weight": torch.zeros(2, WIDTH)}))
    assert load_uni_perceiver(path, ignore_unknown=True)
    without = {name: t for name, t in tensors.items() if name != "fused_encoder.layers.1.norm2.bias"}
    with pytest.raises(ValueError, match=r"1 tensors are missing.*layers\.1\.feedforward_norm\.bias"):
        load_uni_perceiver(saved(path, without))
    wrong = {**tensors, "fused_encoder.layers.1.gamma_1": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"gamma_1 \(LayerScale of attention\) is \(3,\), but \(128,\)"):
        load_uni_perceiver(saved(path, wrong))
    late = {**tensors, "fused_encoder.layers.99999999.norm1.bias": torch.zeros(WIDTH)}
    with pytest.raises(ValueError, match=r"layers \[0, 1, 2, 99999999\], but some before them are missing"):
        load_uni_perceiver(saved(path, late))
    flat = {**tensors, "token_embed.embeddings.weight": torch.zeros(64)}
    with pytest.raises(ValueError, match=r"no 'token_embed\.embeddings\.weight' of 2 dimensions"):
        load_uni_perceiver(saved(path, flat))
    with pytest.raises(ValueError, match="is no Uni-Perceiver"):
        load_uni_perceiver(saved(path, {"fc.weight": torch.zeros(1)}))


def test_a_missing_expert_is_noticed(tmp_path: Path) -> None:
    tensors = published(moe=True)
    del tensors["fused_encoder.layers.2.linear2.experts.deepspeed_experts.1.bias"]
    with pytest.raises(ValueError, match=r"2 of 3 experts of layers\.2\.fc2\.bias"):
        load_uni_perceiver(saved(tmp_path / "a.pth", tensors))


def test_one_of_two_equal_norms_and_temperatures_may_be_missing(tmp_path: Path) -> None:
    tensors = published(moe=False)
    whole = load_uni_perceiver(saved(tmp_path / "a.pth", tensors)).state_dict()
    for name in [n for n in tensors if n.startswith("video_embed.embeddings_norm")]:
        del tensors[name]
    del tensors["loss_prepare.logit_scale_tqa_mlm"]
    part = load_uni_perceiver(saved(tmp_path / "b.pth", tensors)).state_dict()
    assert {name for name in whole if not torch.equal(whole[name], part[name])} == {"log_scale.tqa_mlm"}
    assert float(part["log_scale.tqa_mlm"].exp()) == pytest.approx(1 / 0.07)


@BOTH
def test_converted_files_are_the_same_encoder(tmp_path: Path, moe: bool) -> None:
    source = saved(tmp_path / "a.pth", {f"module.{n}": t for n, t in published(moe=moe).items()})
    target = tmp_path / "a.safetensors"
    convert(source, target)
    one, other = load_uni_perceiver(source).state_dict(), load_uni_perceiver(target).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    convert(target, tmp_path / "half.safetensors", dtype=torch.float16)
    half = load_uni_perceiver(tmp_path / "half.safetensors")
    assert half.words.weight.dtype == torch.float32
    assert torch.equal(half.words.weight, one["words.weight"].half().float())
    with pytest.raises(ValueError, match="layout='intern25' only"):
        convert(source, tmp_path / "b.pth", layout="official")


def test_bad_calls_are_refused() -> None:
    encoder = UniPerceiverEncoder(
        UniPerceiverConfig(width=64, layers=1, heads=1, feedforward=64, vocabulary=9, text_positions=4)
    )
    with pytest.raises(ValueError, match=r"must be \(N, 3, 224, 224\)"):
        encoder.picture_tokens(torch.zeros(1, 3, 96, 96))
    with pytest.raises(ValueError, match="a video of 9 frames; give 1 to 8"):
        encoder.picture_tokens(torch.zeros(1, 9, 3, 224, 224))
    with pytest.raises(ValueError, match="a text of 5 tokens; give 4 at most"):
        encoder.text_tokens(torch.zeros(1, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="no task family 'cls'"):
        encoder.logits(torch.zeros(1, 64), torch.zeros(1, 64), "cls")
    with pytest.raises(ValueError, match="at least one segment"):
        encoder([])


def test_attributes_beyond_the_published_ones_change_nothing(tmp_path: Path) -> None:
    encoder = loaded(saved(tmp_path / "a.pth", published(moe=True)))
    tokens = encoder.text_tokens(torch.tensor([IDS]))
    plain = Attributes.from_bits("10010110")
    outputs = [
        encoder([Segment(tokens=tokens, attributes=attributes)])[0]
        for attributes in (plain, dataclasses.replace(plain, detection=True, bev=True))
    ]
    assert torch.equal(*outputs)


@BOTH
def test_the_commands_say_what_a_file_is(
    tmp_path: Path, moe: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source = saved(tmp_path / "a.pth", published(moe=moe))
    assert main(["info", str(source), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["holds"] == ("Uni-Perceiver-MoE" if moe else "Uni-Perceiver")
    assert facts["layout"] == "official"
    assert facts["config"]["experts"] == (3 if moe else 0)
    assert facts["unused_tensors"] == (1 + 2 * 2 * 5 if moe else 1)  # types, and two gates in two layers
    assert facts["parameters"] == parameters_of(UniPerceiverConfig(**facts["config"]))
    assert main(["convert", str(source), str(tmp_path / "b.safetensors")]) == 0
    capsys.readouterr()
    assert main(["info", str(tmp_path / "b.safetensors")]) == 0
    text = capsys.readouterr().out
    assert "Uni-Perceiver" in text
    assert "no published file" not in text
    assert main(["info", str(source), "--flops"]) == 2
