# SPDX-License-Identifier: MIT
"""The words of the page, once in Chinese and once in English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["zh", "en"]

QUESTIONS = ("此刻可以直行吗？", "前方限速多少？", "今天天气如何？", "What is in the picture?")
"""Questions that one click asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Every word that the page itself says in one language.

    Convention: ``{name}`` in a text is filled in where it is used.
    """

    language: Language
    subtitle: str
    footer: str
    """``{model}``, ``{millions}`` of parameters, ``{device}``."""

    picture: str
    picture_hint: str
    sample: str

    ask_tab: str
    question: str
    question_hint: str
    ask: str
    samples: str
    answer: str
    certainty: str
    """``{score}``."""

    find_tab: str
    names: str
    names_hint: str
    names_info: str
    mode: str
    detect: str
    semantic: str
    instance: str
    panoptic: str
    threshold: str
    find: str
    drawing: str
    table: str
    found: str
    """``{count}`` of rows."""
    nothing_found: str
    """``{least}``, the threshold."""
    name: str
    score: str
    share: str
    box: str

    read_tab: str
    read_hint: str
    read_picture: str
    whole: str
    read: str
    line: str
    nothing_read: str

    name_tab: str
    candidates: str
    candidates_hint: str
    candidates_info: str
    name_it: str
    probabilities: str

    album_tab: str
    query: str
    query_hint: str
    search: str
    alike: str
    hits: str
    album_shown: str
    """``{folder}``, ``{count}`` of pictures and moments."""
    album_absent: str

    no_picture: str
    no_question: str
    no_query: str
    two_names: str
    many_names: str
    """``{most}``, ``{count}``."""
    bug: str


ZH = Texts(
    language="zh",
    subtitle="一个模型看懂图片：问答、描述、检测、分割、识字、分类、搜图",
    footer="{model} · {millions}M 参数 · {device} · 图片只在运行本页的机器上处理",
    picture="图片",
    picture_hint="把图片拖到这里\n或点击上传",
    sample="换一张示例街景",
    ask_tab="问答与描述",
    question="问题",
    question_hint="中文或英文，例如：图中有几辆车？",
    ask="提问",
    samples="试试这些问题",
    answer="回答",
    certainty="把握 {score}",
    find_tab="检测与分割",
    names="要找什么",
    names_hint="行人，自行车，red car",
    names_info="用逗号隔开，中英文都行；留空则用模型自带的名称",
    mode="方式",
    detect="检测",
    semantic="语义分割",
    instance="实例分割",
    panoptic="全景分割",
    threshold="阈值",
    find="开始",
    drawing="结果",
    table="明细",
    found="找到 {count} 个",
    nothing_found="没有找到得分不低于 {least} 的；可以把阈值调低再试",
    name="名称",
    score="得分",
    share="占画面",
    box="框（左，上，右，下）",
    read_tab="识字",
    read_hint="在图上点两下，框住一行文字的两个对角；不框就读整张图。",
    read_picture="要读的部分",
    whole="读整张图",
    read="识字",
    line="文字",
    nothing_read="（没有读到文字）",
    name_tab="分类",
    candidates="候选名称",
    candidates_hint="猫，狗，bus",
    candidates_info="至少两个，用逗号隔开，中英文都行；留空则用模型自带的名称",
    name_it="分类",
    probabilities="概率",
    album_tab="搜相册",
    query="想找的画面",
    query_hint="例如：红色的公交车",
    search="搜索",
    alike="找与左图相似的",
    hits="找到的图片",
    album_shown="相册 {folder}，共 {count} 张图片和视频画面",
    album_absent="启动时没有指定相册。请用 `intern25 demo --album 文件夹` 启动，网页本身不能打开本机文件夹。",
    no_picture="请先上传一张图片",
    no_question="请先写下问题",
    no_query="请先写下想找的画面",
    two_names="请至少写两个名称，否则没有可选的",
    many_names="最多 {most} 个名称，现在有 {count} 个",
    bug="程序出错了，终端里有详细信息",
)
"""Chinese."""

EN = Texts(
    language="en",
    subtitle="One model that understands pictures: asks, describes, finds, segments, reads, names, searches",
    footer="{model} · {millions}M parameters · {device} · pictures stay on the machine that runs this page",
    picture="Picture",
    picture_hint="Drop a picture here\nor click to upload",
    sample="Another sample street",
    ask_tab="Ask & describe",
    question="Question",
    question_hint="Chinese or English, such as: how many cars are there?",
    ask="Ask",
    samples="Try these questions",
    answer="Answer",
    certainty="certainty {score}",
    find_tab="Boxes & masks",
    names="What to look for",
    names_hint="person, 自行车, red car",
    names_info="Chinese or English, separated by commas; empty for the model's own names",
    mode="How",
    detect="Detect",
    semantic="Semantic",
    instance="Instances",
    panoptic="Panoptic",
    threshold="Threshold",
    find="Find",
    drawing="Result",
    table="What was found",
    found="{count} found",
    nothing_found="Nothing scores {least} or more; try a lower threshold",
    name="Name",
    score="Score",
    share="Share of picture",
    box="Box (left, top, right, bottom)",
    read_tab="Read text",
    read_hint="Click two opposite corners around one line of text; without a box the whole picture is read.",
    read_picture="Part to read",
    whole="Whole picture",
    read="Read",
    line="Text",
    nothing_read="(no text was read)",
    name_tab="Name it",
    candidates="Names to choose from",
    candidates_hint="cat, 狗, bus",
    candidates_info="Two or more, Chinese or English, separated by commas; empty for the model's own names",
    name_it="Name it",
    probabilities="Probabilities",
    album_tab="Search an album",
    query="What to look for",
    query_hint="Such as: a red bus",
    search="Search",
    alike="Find pictures like the one on the left",
    hits="Found",
    album_shown="Album {folder}, {count} pictures and moments of videos",
    album_absent="No album was named at the start. Run `intern25 demo --album FOLDER`: a web page must not "
    "open folders of the machine by itself.",
    no_picture="Upload a picture first",
    no_question="Write a question first",
    no_query="Write what to look for first",
    two_names="Give two names or more, otherwise there is nothing to choose from",
    many_names="At most {most} names; these are {count}",
    bug="Something went wrong inside; the terminal has the details",
)
"""English."""

TEXTS: dict[Language, Texts] = {"zh": ZH, "en": EN}
"""Language to its words."""
