# SPDX-License-Identifier: MIT
"""Serve the page on this machine: no link to the outside, no call to the network, bounded uploads."""

from __future__ import annotations

import os
import socket
from typing import Any

import gradio as gr

LARGEST_FILE = "20mb"
"""Of an upload."""

_FONTS = ("system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
_FONTS_OF_CODE = ("ui-monospace", "Consolas", "monospace")

_CSS = """
.quiet, .quiet p { color: var(--body-text-color-subdued); font-size: var(--text-sm); }
#top { align-items: center; }
#answer textarea, #line textarea, #line input { font-size: var(--text-xl); }
"""


def check_port(host: str, port: int) -> None:
    """Raise ValueError where nothing can be served: the port is taken, or the host is not this machine."""
    if not 1 <= port <= 65535:
        raise ValueError(f"--port {port} must be from 1 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # elsewhere it would take the port from whoever has it
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ValueError(
            f"nothing can be served on --host {host} --port {port} ({error.strerror or error}); "
            "choose another port where it is in use, or another host where that is not this machine"
        ) from error


def start(page: Any, *, host: str, port: int) -> str:
    """Serve ``page`` in threads of their own and return its address; ``page.close()`` ends it.

    Args:
        page: What :func:`intern25.demo.page.build_page` returned.
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        ValueError: As for :func:`check_port`.
    """
    check_port(host, port)
    _leave_out_proxies(host)
    page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        inline=False,
        share=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        root_path="",
        max_file_size=LARGEST_FILE,
        theme=_theme(),
        css=_CSS,
    )
    address: str = page.local_url
    return address


def _theme() -> Any:
    """Fonts of the system: those of gradio's themes would be fetched."""
    theme = gr.themes.Default(
        primary_hue="blue", secondary_hue="blue", font=list(_FONTS), font_mono=list(_FONTS_OF_CODE)
    )
    # The usual grey of hints is too light to be read with ease.
    return theme.set(
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color_dark="*neutral_400",
    )


def _leave_out_proxies(host: str) -> None:
    """Let gradio's look at its own server go past a proxy of the environment."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [part for part in os.environ.get(name, "").split(",") if part]
        own = [part for part in ("localhost", "127.0.0.1", host) if part not in known]
        os.environ[name] = ",".join([*known, *own])
