# SPDX-License-Identifier: MIT
"""The picture that is uploaded, left as the file that it is: our own reader says what is wrong with one."""

from __future__ import annotations

from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr


def _path(self: Any, payload: Any) -> str | None:
    """Path of the file, None where there is none."""
    return None if payload is None else payload.path


async def _kept(self: Any, url_or_file_path: str | Path | None) -> str | None:
    """An upload stays; a web address, which gradio would fetch, is refused."""
    if str(url_or_file_path).lower().startswith(("http:", "https:")):
        raise gr.Error("upload the picture itself; web addresses are not opened", print_exception=False)
    kept: str | None = await gr.Image.async_move_resource_to_block_cache(self, url_or_file_path)
    return kept


# A class statement would let gradio's metaclass write a stub file into the package.
PictureInput: Any = ABCMeta.__new__(
    type(gr.Image),
    "PictureInput",
    (gr.Image,),
    {
        "__doc__": "Image whose value is the path of the upload; no web address is opened.",
        "__module__": __name__,
        "is_template": True,  # in the browser it is gradio's own image
        "preprocess": _path,
        "async_move_resource_to_block_cache": _kept,
    },
)
"""Component like ``gradio.Image``, whose value is the path of the upload, whatever it holds."""
