# SPDX-License-Identifier: MIT
"""Find objects in pictures, count them and draw them. Arguments: a detector, pictures ..."""

import sys
from collections import Counter
from pathlib import Path

import intern25

model, *pictures = sys.argv[1:]
predictor = intern25.load(model)
for found in predictor.predict(pictures, threshold=0.3):
    counts = ", ".join(f"{name} x {count}" for name, count in Counter(found.names("both")).most_common())
    print(f"{found.source}: {len(found)} objects {counts}")
    found.draw(language="both").save(f"{Path(found.source).stem}_found.png")
