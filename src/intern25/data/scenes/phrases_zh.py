# SPDX-License-Identifier: MIT
"""Chinese wording of the questions about scenes."""

from __future__ import annotations

from types import MappingProxyType

PHRASES = MappingProxyType(
    {
        "go_straight": ("此刻可以直行吗？", "现在可以直行吗？", "现在能直行吗？", "车辆可以直行通过吗？"),
        "wait": (
            "此刻可以直行吗？如果不行需要等待多久？",
            "需要等待多久才能直行？",
            "现在能直行吗，不能的话要等几秒？",
        ),
        "light": (
            "红绿灯是什么颜色？",
            "现在是什么灯？",
            "交通信号灯显示什么颜色？",
            "前方信号灯是什么颜色？",
        ),
        "left_light": ("左转灯是什么颜色？", "左转箭头灯是什么颜色？"),
        "straight_light": ("直行灯是什么颜色？", "直行箭头灯是什么颜色？"),
        "pedestrian_light": ("人行灯是什么颜色？", "行人信号灯是什么颜色？"),
        "turn_left": ("现在可以左转吗？", "此刻能左转吗？"),
        "countdown": ("还剩多少秒？", "倒计时显示几秒？", "红绿灯还有几秒？"),
        "speed_limit": ("前方限速多少？", "这里限速多少？", "限速是多少？", "最高可以开多快？"),
        "weather": ("今天天气如何？", "天气怎么样？", "今天是什么天气？", "现在天气如何？"),
        "time": ("现在是什么时候？", "现在是白天还是夜晚？", "图中是什么时间？"),
        "is_night": ("现在是夜晚吗？", "外面天黑了吗？", "这是晚上拍的吗？"),
        "direction": (
            "哪个方向前往{place}？",
            "去{place}怎么走？",
            "前往{place}应该往哪边走？",
            "{place}在哪个方向？",
        ),
        "place": ("{turn}前往哪里？", "{turn}可以到哪里？", "{turn}通向哪里？"),
        "road": ("前方经过什么路段？", "前方是什么路段？", "前面是什么样的路？"),
        "tunnel_limit": ("前方经过什么路段，限速多少？", "前面是什么路段，限速是多少？"),
        "tunnel_name": ("前方是什么隧道？", "这个隧道叫什么名字？"),
        "ahead": ("前方有什么？", "正前方是什么？", "我的车道前面有什么？"),
        "count": ("有多少{measure}{name}？", "图中有几{measure}{name}？", "能看到几{measure}{name}？"),
        "color": ("最近的汽车是什么颜色？", "离得最近的汽车是什么颜色的？"),
        "color_of": ("{name}是什么颜色？", "这{measure}{name}是什么颜色的？"),
        "presence": ("有{name}吗？", "能看到{name}吗？", "图中有没有{name}？"),
        "on_road": ("路上有{name}吗？", "马路上有没有{name}？"),
        "sign": ("交通标志是什么意思？", "这是什么交通标志？", "标志牌表示什么？"),
        "crossing": ("前方有斑马线吗？", "有人行横道吗？"),
    }
)
