# SPDX-License-Identifier: MIT
"""Colours of classes: those known from the data sets' own pictures, and distinct ones for the rest."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

from intern25.data.class_names import ClassNames, class_names, list_of
from intern25.data.distinct_colors import Color, distinct_colors

Palette = tuple[Color, ...]

_UNNAMED = (0, 0, 0)
"""Of outputs beyond the classes of a data set, which never win."""

# Six hexadecimal digits a class.
_HEXADECIMAL = MappingProxyType(
    {
        "coco": (
            "dc143c770b2000008e0000e66a00e4003c640050640000460000c0faaa1e64aa1edcdc00af74affa001ea52a2aff4dff"
            "00e2fcb6b6ff00520078a69d6e4c00ae39ffc76400480076ffb3f0007d5cd10097bcd0b600dcb0ff63a45c00498581ff"
            "4eb4ff00e400aefff32d59ff8686679194aeffd0bac5e2ffab86016d3f36cf8aff97005f09503d5469334a4169a6c466"
            "d0c3d2ff6d41008f95b300c2d1636a057900e3ffcd93bad0994501035fa1a3ff007700aa00b6c700a578b782585f2000"
            "8272876e8185a64a76db8eb94fd272b25a3e41460f7fa7733b696a8e6c2dc4ac005f3650804cffc93901f6007abfa2d0"
        ),
        "voc": (
            "6a00e4770b20a52a2a0000c0c5e2ff003c6400008eff4dff99450178a69d00b6c700e2fcb6b6ff0000e6dc143ca3ff00"
            "005200035fa1005064b78258"
        ),
        "ade20k": (
            "787878b4787806e6e650323204c8037878508c8c8ccc05ffe6e6e604fa07e005ffebff0796053d78784608ff33ff0652"
            "8fff8cccff04ff3307cc46030066c83de6faff06330b66ffff0747ff09e00907e6dcdcdcff095c7009ff08ffd607ffe0"
            "ffb8060aff47ff290a07ffffe0ff086608ffff3d06ffc207ff7a0800ff14ff0829ff05990633ffeb0cffa0961400a3ff"
            "8c8c8cfa0a0f14ff001fff00ff1f00ffe00099ff000000ffff470000ebff00adff1f00ff0bc8c8ff520000fff5003dff"
            "00ff7000ff85ff0000ffa300ff6600c2ff00008fff33ff000052ff00ff2900ffad0a00ffadff0000ff99ff5c00ff00ff"
            "ff00f5ff0066ffad00ff0014ffb8b8001fff00ff3d0047ffff00cc00ffc200ff52000aff0070ff3300ff00c2ff007aff"
            "00ffa3ff990000ff0aff70008fff005200ffa3ff00ffeb0008b8aa8500ff00ff5cb800ffff001f00b8ff00d6ffff0070"
            "5cff0000e0ff70e0ff46b8a0a300ff9900ff47ff00ff00a3ffcc00ff008f00ffeb85ff00ff00ebf500ffff007afff500"
            "0abed4d6ff0000ccff1400ffffff000099ff0029ff00ffcc2900ff29ff00ad00ff00f5ff4700ff7a00ff00ffb8005cff"
            "b8ff000085ffffd60019c2c266ff005c00ff"
        ),
        "cityscapes": (
            "804080f423e846464666669cbe9999999999faaa1edcdc006b8e2398fb984682b4dc143cff000000008e000046003c64"
            "0050640000e6770b20"
        ),
        "coco_stuff_164k": (
            "00c04000c04000406080c0c000404000c0e000c0c080c04000c06080c0408020c00000e000004000a0c08000608000c0"
            "0020c08080e00000c080a0c080800080002080200080008040802000a000000000c080a00020000080804080a080a000"
            "008000c0802080608000008040002000e080800000c000a00060808080804000a080e080808040c000208060008000c0"
            "00802040e0000000408080a04060000080c00080a0c0e000008040808020c020800040c000002040a0808040408000a0"
            "40208080c0c00000a0c0a08080c000800060c0200080408040806040a000004000c080e040200000c0804080e0c0a000"
            "00c000c08060c0608000408040006040e080804000c000e040608080c0804000e0c0e08080c040c00060c060008040c0"
            "00806000e0004040408080e000600040c0c00080e080e00040c0408080608020804000c000406000a080c000408040e0"
            "002080c080c00040e080a080c08000804020802040c0008040c02000a040400000c0c0a000204040808040c0a080a040"
            "408000c0c0208060c040008040402000e0c0c00000c040a00060c0c080804040a080e0c0c08040c04020806040c000c0"
            "00c02040e04040004080c0a04060404080c000c0a0c0e04040804080c020c020c04040c000402040a0c0c040408040a0"
            "4020c0c0c0c00040a0c0a0c0c0c000804060c02040c0408040c06040a040404000"
        ),
        "pascal_context_59": (
            "b4787806e6e650323204c8037878508c8c8ccc05ffe6e6e604fa07e005ffebff0796053d78784608ff33ff06528fff8c"
            "ccff04ff3307cc46030066c83de6faff06330b66ffff0747ff09e00907e6dcdcdcff095c7009ff08ffd607ffe0ffb806"
            "0aff47ff290a07ffffe0ff086608ffff3d06ffc207ff7a0800ff14ff0829ff05990633ffeb0cffa0961400a3ff8c8c8c"
            "fa0a0f14ff001fff00ff1f00ffe00099ff000000ffff470000ebff00adff1f00ff"
        ),
        "mapillary": (
            "a52a2a00c000c4c4c4be9999b4a5b45a789666669c8040ff8c8cc8aaaaaafaaaa0606060e6968c8040806e6e6ef423e8"
            "96646446464696785adc143cff0000ff0064ff00c8c88080ffffff40aa40e6a0324682b4beffff98fb986b8e2300aa1e"
            "ffff80fa001e648cb4dcdcdcdc8080de282864aa1e2828282121216480a08e0000466496d2aa64999999808080000050"
            "faaa1ec0c0c0dcdc008c8c14770b209600ff003c6400008e00005a0000e600506480404000006e0000460000c0202020"
            "780a0a000000"
        ),
        "nyu40": (
            "787878b4787806e6e650323204c8037878508c8c8ccc05ffe6e6e604fa07e005ffebff0796053d78784608ff33ff0652"
            "8fff8cccff04ff3307cc46030066c83de6faff06330b66ffff0747ff09e00907e6dcdcdcff095c7009ff08ffd607ffe0"
            "ffb8060aff47ff290a07ffffe0ff086608ffff3d06ffc207"
        ),
        "camvid": ("808080800000c0c0808040803c28de808000c080804040804000804040000080c0"),
    }
)
"""Class list to the colours its data set (or, for ``coco`` and ``voc``, the usual program) draws it in."""


@cache
def palette(list_name: str) -> Palette:
    """Colours of a class list of :func:`intern25.data.class_names.class_names`.

    Returns:
        ``(red, green, blue)`` of each class: the data set's own where it has some, else those of
        :func:`intern25.data.distinct_colors.distinct_colors`.

    Raises:
        ValueError: unknown list name.

    Example:
        >>> palette("cityscapes")[0]
        (128, 64, 128)
    """
    if list_name not in _HEXADECIMAL:
        return distinct_colors(len(class_names(list_name)))
    digits = bytes.fromhex(_HEXADECIMAL[list_name])
    return tuple((digits[i], digits[i + 1], digits[i + 2]) for i in range(0, len(digits), 3))


def palette_of(classes: ClassNames) -> Palette:
    """Colours for named classes: of the data set with just these names, else distinct ones.

    Names that :meth:`ClassNames.padded` has added are black.
    """
    list_name = list_of(classes)
    if list_name is None:
        return distinct_colors(len(classes))
    known = palette(list_name)
    return (*known, *[_UNNAMED] * (len(classes) - len(known)))
