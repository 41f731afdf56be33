# SPDX-License-Identifier: MIT
"""Numbers with nouns: plurals in English, measure words in Chinese."""

from __future__ import annotations

_IRREGULAR = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "mouse": "mice",
    "knife": "knives",
    "sheep": "sheep",
    "skis": "skis",
    "scissors": "scissors",
    "broccoli": "broccoli",
}
_PAIRS = frozenset({"skis", "scissors"})
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
_NUMBERS_ZH = {1: "一", 2: "两", 3: "三", 4: "四"}
_MEASURE_WORDS = {
    "辆": "汽车 自行车 摩托车 公交车 公共汽车 卡车 火车 轿车",
    "只": "鸟 猫 狗 羊 绵羊 熊 大象 斑马 长颈鹿 鼠标 手套 棒球手套 手提包 泰迪熊",
    "匹": "马",
    "头": "牛 奶牛",
    "架": "飞机",
    "艘": "船",
    "把": "椅子 雨伞 伞 刀 叉子 勺子 剪刀 牙刷",
    "张": "床 餐桌 桌子 沙发 长椅",
    "台": "电视 电视机 笔记本电脑 冰箱 微波炉 烤箱 吹风机",
    "条": "领带 船",
    "本": "书",
    "瓶": "瓶子",
    "根": "香蕉 胡萝卜",
    "副": "滑雪板",
}
_MEASURE_OF = {noun: measure for measure, nouns in _MEASURE_WORDS.items() for noun in nouns.split()}


def plural(noun: str) -> str:
    """Plural of an English noun.

    Example:
        >>> plural("person"), plural("bus"), plural("berry"), plural("wine glass")
        ('people', 'buses', 'berries', 'wine glasses')
    """
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + "s"


def with_article(noun: str) -> str:
    """A noun with ``a`` or ``an``; those that come in pairs are ``a pair of``.

    Example:
        >>> with_article("owl"), with_article("skis")
        ('an owl', 'a pair of skis')
    """
    if noun in _PAIRS:
        return f"a pair of {noun}"
    return f"{'an' if noun[:1].lower() in tuple('aeiou') else 'a'} {noun}"


def counted(count: int, noun: str) -> str:
    """A small number of things; more than four are several.

    Example:
        >>> counted(1, "dog"), counted(3, "dog"), counted(9, "dog")
        ('a dog', 'three dogs', 'several dogs')
    """
    return with_article(noun) if count == 1 else f"{_NUMBERS.get(count, 'several')} {plural(noun)}"


def counted_zh(count: int, noun: str) -> str:
    """A small number of things in Chinese; more than four are ``几``.

    Example:
        >>> counted_zh(2, "狗"), counted_zh(9, "人")
        ('两只狗', '几个人')
    """
    return f"{_NUMBERS_ZH.get(count, '几')}{measure_word(noun)}{noun}"


def measure_word(noun: str) -> str:
    """Measure word of a Chinese noun; ``个`` where none is known."""
    return _MEASURE_OF.get(noun, "个")


def number_answers(count: int) -> tuple[str, ...]:
    """A number as an answer in English: ``2``, ``two``."""
    return (str(count), *([_NUMBERS[count]] if count in _NUMBERS else []))


def number_answers_zh(count: int, noun: str) -> tuple[str, ...]:
    """A number of things as an answer in Chinese: ``2``, ``两个``, ``2个``."""
    measure = measure_word(noun)
    words = (f"{count}{measure}", *([f"{_NUMBERS_ZH[count]}{measure}"] if count in _NUMBERS_ZH else []))
    return (str(count), *dict.fromkeys(words))
