# SPDX-License-Identifier: MIT
"""Table of what the packaged generalist reaches, each figure beside an answer without a look at the picture.

The figures come from the file that ``intern25 eval generalist --trivial --json`` wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "benchmarks" / "training" / "intern25_tiny" / "test.json"
TRIVIAL = " (trivial)"


@dataclass(frozen=True)
class Figure:
    """A row of the table: where it stands in the results and what it is called."""

    task: str
    name: str
    en: str
    zh: str
    share: bool = True
    """Whether it is a share, shown in percent."""
    trivial: str = ""
    """Name of the trivial figure where it is another."""


FIGURES = (
    Figure("classify_objects", "top1_en", "100 kinds of objects, Caltech-101 (validation), English names",
           "100 类物体 Caltech-101（验证集），英文名"),
    Figure("classify_objects", "top1_zh", "the same, Chinese names", "同上，中文名"),
    Figure("classify_objects", "precision10_en", "pictures found by the name of an object, precision at 10",
           "按名称找图，precision@10"),
    Figure("search_kinds", "precision10_zh",
           "pictures found by what they have in common, Caltech-101 and CIFAR-10, Chinese, precision at 10",
           "按共同点找图（如“可爱毛绒绒的动物”），Caltech-101 与 CIFAR-10，precision@10"),
    Figure("classify_lights", "top1_zh", "state of a traffic light, crops", "信号灯状态（裁剪图）"),
    Figure("classify_signs_de", "top1_en", "43 German traffic signs, GTSRB", "43 类德国交通标志 GTSRB"),
    Figure("classify_signs_cn", "top1_zh", "60 Chinese traffic signs, TT100K", "60 类中国交通标志 TT100K"),
    Figure("detect_cells", "ap_en", "blood cells, BCCD, box AP", "血细胞 BCCD，检测框 AP"),
    Figure("detect_nuclei", "ap_en", "cell nuclei, DSB 2018 (validation), box AP",
           "细胞核 DSB 2018（验证集），检测框 AP"),
    Figure("detect_nuclei", "mask_ap_en", "the same, mask AP", "同上，掩码 AP"),
    Figure("segment_streets", "miou_en", "streets, CamVid, mean IoU", "街景 CamVid，平均 IoU"),
    Figure("retrieval", "image_to_text_at5", "caption of a photo, Flickr8k (validation), recall at 5",
           "以图找文 Flickr8k（验证集），recall@5"),
    Figure("retrieval", "text_to_image_at5", "photo of a caption, recall at 5", "以文找图，recall@5"),
    Figure("caption", "cider_en", "captions of photos, Flickr8k (validation), CIDEr-D",
           "照片描述 Flickr8k（验证集），CIDEr-D", share=False),
    Figure("caption_scenes", "cider_zh", "Chinese captions of rendered streets, CIDEr-D",
           "渲染街景的中文描述，CIDEr-D", share=False),
    Figure("vqa_shapes", "accuracy", "questions about shapes, easy-VQA", "图形问答 easy-VQA",
           trivial="blind_accuracy"),
    Figure("vqa_rooms", "accuracy", "questions about rooms, DAQUAR, answers of one thing",
           "室内问答 DAQUAR（单一答案）"),
    Figure("reasoning", "chosen_accuracy", "statements about blocks, NLVR", "积木陈述判断 NLVR",
           trivial="accuracy"),
    Figure("read_words", "exact", "words in photos, IIIT5K, read without error",
           "照片中的单词 IIIT5K，完全读对"),
    Figure("read_rendered", "cer_en", "rendered English words, characters read wrong",
           "渲染英文，字符错误率"),
    Figure("read_rendered", "cer_zh", "rendered Chinese words, characters read wrong",
           "渲染中文，字符错误率"),
    Figure("drive_scenes", "accuracy_en", "questions of a driver, rendered streets, English",
           "驾驶问答，渲染街景，英文", trivial="blind_accuracy_en"),
    Figure("drive_scenes", "accuracy_zh", "the same, Chinese", "同上，中文", trivial="blind_accuracy_zh"),
    Figure("name_scenes", "top1_zh", "things of rendered streets by their full names, 111 names",
           "渲染街景中物体的全名，111 个名称"),
    Figure("drive_streets", "accuracy", "questions of a driver, CamVid", "驾驶问答，CamVid",
           trivial="blind_accuracy"),
    Figure("drive_junctions", "accuracy", "questions about Chinese junctions", "中国路口问答",
           trivial="blind_accuracy"),
    Figure("drive_junctions", "kind_go_straight", "of these: may I go straight now?",
           "其中：此刻可以直行吗？",
           trivial="blind_kind_go_straight"),
)  # fmt: skip


def rows(language: str) -> list[list[str]]:
    """One row a figure: what, the model's, the trivial one."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    return [
        [
            getattr(figure, language),
            f"**{_shown(found[figure.task][figure.name], figure)}**",
            _shown(found[figure.task + TRIVIAL].get(figure.trivial or figure.name), figure),
        ]
        for figure in FIGURES
    ]


def _shown(value: float | None, figure: Figure) -> str:
    if value is None:  # no trivial answer has masks
        return "-"
    return f"{100 * value:.1f} %" if figure.share else f"{value:.2f}"
