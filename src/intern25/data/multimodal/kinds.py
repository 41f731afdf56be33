# SPDX-License-Identifier: MIT
"""What things of many classes have in common, in the words in which albums are searched for them."""

from __future__ import annotations

from dataclasses import dataclass

from intern25.data.class_names import ClassNames
from intern25.data.labelled import LabelledImages
from intern25.data.multimodal.pictures import AnnotatedPictures
from intern25.data.multimodal.records import Language, Sentence
from intern25.data.multimodal.templates import class_sentences


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A property of classes and the ways to name it."""

    en: tuple[str, ...]
    """In English, the usual one first."""
    zh: tuple[str, ...]
    """In Chinese, the usual one first."""
    members: frozenset[str]
    """English names of the classes that have it."""

    def said(self, language: Language) -> tuple[str, ...]:
        """The ways to name it in a language."""
        return self.en if language == "en" else self.zh


def _kind(en: str, zh: str, members: str) -> Kind:
    """From lists with a bar between the entries."""
    english, chinese, names = (tuple(part.strip() for part in text.split("|")) for text in (en, zh, members))
    return Kind(en=english, zh=chinese, members=frozenset(names))


_PETS = "cat | dog | Dalmatian"
_WILD_FURRY = "beaver | cougar (body) | cougar (face) | kangaroo | leopard | panda | wildcat"
_FURRY = f"{_PETS} | {_WILD_FURRY} | llama"
_WILD = f"{_WILD_FURRY} | elephant | gerenuk | hedgehog | okapi | platypus | rhinoceros | deer"
_BIRDS = "emu | flamingo | flamingo (head) | ibis | pigeon | rooster | bird"
_SEA = (
    "bass | crab | crayfish | dolphin | hawksbill turtle | lobster | nautilus | octopus | seahorse | starfish"
)
_INSECTS = "ant | butterfly | dragonfly | mayfly"
_REPTILES = "crocodile | crocodile (head) | hawksbill turtle"
_BOATS = "ferry | ketch | schooner | ship"
_AIRCRAFT = "airplane | helicopter"
_CARS = "car (side view) | automobile | truck | motorbike"

KINDS = (
    _kind(
        "cute furry animals | a cute fluffy animal | something cute and furry",
        "可爱毛绒绒的动物 | 可爱毛绒绒 | 毛茸茸的小动物 | 萌宠",
        _FURRY,
    ),
    _kind(
        "animals | an animal",
        "动物 | 小动物",
        f"{_WILD} | {_PETS} | llama | horse | {_BIRDS} | {_SEA} | {_INSECTS} | {_REPTILES} | "
        "frog | scorpion | tick",
    ),
    _kind("wild animals | an animal in the wild", "野生动物 | 野兽", _WILD),
    _kind("big cats | a big cat", "大型猫科动物 | 猛兽", "cougar (body) | cougar (face) | leopard | wildcat"),
    _kind("pets | a pet", "宠物 | 家里的宠物", _PETS),
    _kind("dogs | a dog", "狗 | 小狗", "dog | Dalmatian"),
    _kind("birds | a bird | something with feathers", "鸟类 | 鸟 | 小鸟", _BIRDS),
    _kind("sea creatures | an animal that lives in the sea", "海洋动物 | 海里的生物", _SEA),
    _kind("insects | an insect | a bug", "昆虫 | 虫子", f"{_INSECTS} | tick"),
    _kind("reptiles | a reptile", "爬行动物 | 爬行类", _REPTILES),
    _kind("dinosaurs | a dinosaur", "恐龙 | 恐龙图片", "brontosaurus | stegosaurus"),
    _kind("cartoon characters | a cartoon", "卡通人物 | 动画形象", "Garfield | Snoopy"),
    _kind("people | a portrait of a person | a person's face", "人物 | 人像 | 人的脸", "face"),
    _kind(
        "musical instruments | a musical instrument | something to play music on",
        "乐器 | 演奏音乐的乐器",
        "accordion | electric guitar | euphonium | grand piano | mandolin | saxophone",
    ),
    _kind(
        "vehicles | a vehicle | a means of transport",
        "交通工具 | 车船飞机",
        f"{_CARS} | {_BOATS} | {_AIRCRAFT}",
    ),
    _kind("road vehicles | something that drives on the road", "车辆 | 路上跑的车", _CARS),
    _kind("cars | a car", "小汽车 | 轿车", "car (side view) | automobile"),
    _kind("boats and ships | a boat | a ship on the water", "船 | 船只 | 水上的船", _BOATS),
    _kind("sailing boats | a sailing boat", "帆船 | 有帆的船", "ketch | schooner"),
    _kind("aircraft | something that flies in the sky", "飞行器 | 天上飞的", _AIRCRAFT),
    _kind("planes | a plane", "客机 | 飞机", "airplane"),
    _kind("furniture | a piece of furniture", "家具 | 一件家具", "chair | Windsor chair | lamp | chandelier"),
    _kind("chairs | something to sit on", "座椅 | 可以坐的", "chair | Windsor chair | wheelchair"),
    _kind(
        "flowers | a flower | blossoms",
        "花 | 花朵 | 开着的花",
        "lotus | sunflower | water lily",
    ),
    _kind(
        "plants | a plant | something green that grows",
        "植物 | 花草树木",
        "bonsai | Joshua tree | lotus | sunflower | water lily",
    ),
    _kind("trees | a tree", "树 | 树木", "bonsai | Joshua tree"),
    _kind("food | something to eat", "食物 | 好吃的", "pizza | strawberry"),
    _kind(
        "electronic devices | an electronic device",
        "电子产品 | 电子设备",
        "camera | cellphone | headphones | laptop",
    ),
    _kind("weapons | a weapon", "武器 | 枪炮", "cannon | revolver"),
    _kind(
        "buildings | a building | famous old architecture",
        "建筑 | 古建筑",
        "minaret | pagoda | pyramid",
    ),
    _kind("tools | a tool", "工具 | 一件工具", "scissors | stapler | wrench"),
    _kind("lights | something that gives light", "灯 | 照明的灯", "chandelier | lamp | menorah"),
    _kind("clocks and watches | something that measures time", "钟表 | 计时的东西", "watch | metronome"),
)
"""Kinds of the classes of Caltech-101 and CIFAR-10."""

_LANGUAGES: tuple[Language, ...] = ("en", "zh")
TEMPLATES: dict[Language, tuple[str, ...]] = {
    "en": ("{}", "a photo of {}", "pictures of {}"),
    "zh": ("{}", "{}的照片", "一张{}的图片"),
}
"""Sentences that the name of a kind is put into."""


def kinds_of(name: str) -> tuple[Kind, ...]:
    """Kinds of the class with an English name.

    Example:
        >>> [kind.zh[0] for kind in kinds_of("panda")]
        ['可爱毛绒绒的动物', '动物', '野生动物']
    """
    return tuple(kind for kind in KINDS if name in kind.members)


def kind_sentences(kind: Kind) -> tuple[Sentence, ...]:
    """Every way to name a kind in every sentence; the first of each language is the usual name alone."""
    return tuple(
        Sentence(text=template.format(way), language=language)
        for language in _LANGUAGES
        for way in kind.said(language)
        for template in TEMPLATES[language]
    )


def pictures_of_kinds(images: LabelledImages, names: ClassNames) -> AnnotatedPictures[Sentence]:
    """Return labelled pictures with what can be said of their class: its name, and the kinds it is of.

    Args:
        images: The pictures.
        names: Names of their classes, by label.
    """
    named = {language: class_sentences(names, language) for language in _LANGUAGES}
    said = [
        tuple(
            Sentence(text=text, language=language)
            for language, sentences in named.items()
            for text in sentences[label]
        )
        + tuple(sentence for kind in kinds_of(name) for sentence in kind_sentences(kind))
        for label, name in enumerate(names.en)
    ]
    return AnnotatedPictures(
        images.names, tuple(said[label] for label in images.labels), images.store, "pictures of kinds"
    )
