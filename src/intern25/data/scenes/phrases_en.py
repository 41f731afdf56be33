# SPDX-License-Identifier: MIT
"""English wording of the questions about scenes."""

from __future__ import annotations

from types import MappingProxyType

PHRASES = MappingProxyType(
    {
        "go_straight": (
            "Can I go straight now?",
            "May I drive straight on now?",
            "Is it allowed to go straight at the moment?",
            "Can the car go straight?",
        ),
        "wait": (
            "Can I go straight now? If not, how long must I wait?",
            "How long do I have to wait before going straight?",
            "May I go straight, or how many seconds do I wait?",
        ),
        "light": (
            "What color is the traffic light?",
            "What does the traffic light show?",
            "Which color is lit on the traffic light?",
            "Is the traffic light red, yellow or green?",
        ),
        "left_light": ("What color is the left-turn light?", "What does the left arrow light show?"),
        "straight_light": (
            "What color is the straight arrow light?",
            "What does the straight-ahead light show?",
        ),
        "pedestrian_light": (
            "What color is the pedestrian light?",
            "What does the light for pedestrians show?",
        ),
        "turn_left": ("Can I turn left now?", "May I turn left at the moment?"),
        "countdown": (
            "How many seconds are left?",
            "What number is on the countdown?",
            "How many seconds does the traffic light show?",
        ),
        "speed_limit": (
            "What is the speed limit ahead?",
            "How fast may I drive here?",
            "What is the speed limit?",
            "Which speed limit does the sign show?",
        ),
        "weather": (
            "What is the weather like today?",
            "How is the weather?",
            "What is the weather?",
            "What kind of weather is it?",
        ),
        "time": ("What time of day is it?", "Is it day, dusk or night?", "Which time of day is shown?"),
        "is_night": ("Is it night?", "Is it dark outside?", "Was the picture taken at night?"),
        "direction": (
            "Which direction goes to {place}?",
            "Which way is {place}?",
            "How do I get to {place}?",
            "Where should I turn for {place}?",
        ),
        "place": (
            "Which place do I reach {turn}?",
            "What place is {turn}?",
            "Where does the road {turn} lead?",
        ),
        "road": (
            "What road section is ahead?",
            "What kind of road is ahead?",
            "What section of road am I coming to?",
        ),
        "tunnel_limit": (
            "What road section is ahead, and what is the speed limit?",
            "What section is ahead and how fast may I go?",
        ),
        "tunnel_name": ("Which tunnel is ahead?", "What is the name of the tunnel?"),
        "ahead": ("What is ahead of me?", "What is in my lane?", "What is right in front of the car?"),
        "count": ("How many {many} are there?", "How many {many} can be seen?", "Count the {many}."),
        "color": ("What color is the nearest car?", "What is the color of the closest car?"),
        "color_of": ("What color is the {name}?", "What is the color of the {name}?"),
        "presence": ("Is there {one}?", "Can you see {one}?", "Is there {one} in the picture?"),
        "on_road": ("Is there {one} on the road?", "Is {one} standing on the road?"),
        "sign": (
            "What does the traffic sign mean?",
            "Which traffic sign is this?",
            "What does the sign say?",
        ),
        "crossing": ("Is there a zebra crossing?", "Is there a pedestrian crossing ahead?"),
    }
)
