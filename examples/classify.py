# SPDX-License-Identifier: MIT
"""Name what pictures show, and draw it. Arguments: a model (default: the packaged one), output folder."""

import sys
from pathlib import Path

import intern25

pictures = sorted((Path(__file__).parent / "images").glob("*.jpg"))
output = Path(sys.argv[2] if len(sys.argv) > 2 else "drawn")
output.mkdir(parents=True, exist_ok=True)

predictor = intern25.load(*sys.argv[1:2])
for result in predictor.predict(pictures, top_k=3):
    best = result.top(1)
    print(f"{result.source}: {best.names('both')[0]} {best.scores[0]:.1%}")
    result.draw(language="both").save(output / f"{Path(result.source).stem}.png")
