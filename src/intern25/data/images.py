# SPDX-License-Identifier: MIT
"""One way to read a picture: whatever a user has becomes an upright 8-bit RGB Pillow image, or a clear error.

What is special: rotation by EXIF, transparency laid on white, 16-bit and float data scaled (not clipped),
the first frame of an animation; anything doubtful is refused with the way out instead of being guessed.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor

ImageSource = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.generic] | Tensor

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
# Pillow's decoders raise many kinds on damaged data; struct.error and zlib.error come from their parsers.
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    EOFError,
    struct.error,
    zlib.error,
)


class ImageReadError(ValueError):
    """A picture could not be read; the message names it and says what to do."""


def read_image(source: ImageSource) -> Image.Image:
    """Read a picture as an upright 8-bit RGB image.

    Convention:
        - arrays: ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA; uint8, uint16
          (full range 0..65535) or float in 0..1.
        - tensors: the same with channels first, ``(C, H, W)`` or ``(H, W)``.
        - transparency is composited on white; colour profiles are ignored, as the official evaluation does.
        - EXIF rotation is applied; of an animated file the first frame is taken.

    Args:
        source: Path, encoded bytes, Pillow image, NumPy array or tensor.

    Returns:
        A new image of mode ``RGB``; ``source`` is left as it was.

    Raises:
        ImageReadError: The picture is missing, damaged, empty, too large, or of an unknown kind.
        TypeError: ``source`` is none of the types above.

    Example:
        >>> read_image(np.zeros((4, 6), dtype=np.uint8)).size
        (6, 4)
    """
    if isinstance(source, str | os.PathLike):
        return _read_file(os.fspath(source))
    if isinstance(source, bytes):
        return _decode(source, f"{len(source)} bytes of data")
    if isinstance(source, Image.Image):
        return _from_pillow(source, _name_of(source))
    if isinstance(source, Tensor):
        return _from_tensor(source)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    raise TypeError(
        f"cannot read a picture from {type(source).__name__}; "
        "give a path, bytes, a PIL image, an (H, W, C) array or a (C, H, W) tensor"
    )


def _read_file(path: str) -> Image.Image:
    if path.startswith(("http://", "https://")):
        raise ImageReadError(f"{path} is a web address; download the picture and give the file's path")
    if Path(path).is_dir():
        raise ImageReadError(f"{path} is a folder, not a picture; give a file, or list the folder's pictures")
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise ImageReadError(f"{path} does not exist; check the path") from error
    except (OSError, ValueError) as error:
        raise ImageReadError(f"{path} cannot be opened: {error}") from error
    return _decode(data, path)


def _decode(data: bytes, name: str) -> Image.Image:
    if not data:
        raise ImageReadError(f"{name} is empty (0 bytes); copy or download the picture again")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _from_pillow(image, name)
    except ImageReadError:
        raise
    except UnidentifiedImageError as error:
        raise ImageReadError(f"{name} {_unknown_format(data)}") from error
    except Image.DecompressionBombError as error:
        raise ImageReadError(
            f"{name} has too many pixels ({error}); make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS "
            "if you trust it"
        ) from error
    except _DECODER_ERRORS as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ImageReadError:
    return ImageReadError(f"{name} is damaged or cut short ({error}); copy or download it again")


def _unknown_format(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "is a HEIC/HEIF picture, which Pillow cannot read; save it as JPEG or PNG"
    if data.lstrip()[:5].lower() in (b"<?xml", b"<svg ", b"<html", b"<!doc"):
        return "is a text document (SVG or HTML), not a bitmap; save it as PNG or JPEG"
    return "is not a picture of a known format, or its start is damaged; save it as JPEG or PNG"


def _from_pillow(image: Image.Image, name: str) -> Image.Image:
    if 0 in image.size:
        raise ImageReadError(f"{name} has no pixels: its size is {image.width} x {image.height}")
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        return _to_rgb(image, name)
    except ImageReadError:
        raise
    except _DECODER_ERRORS as error:
        raise _damaged(name, error) from error


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        return _from_array(_sixteen_bit(image, name), name)
    if image.mode == "F":
        return _from_array(np.asarray(image), name)
    if image.mode == "LAB":
        raise ImageReadError(f"{name} is stored as CIE Lab; save it as RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    # convert() returns a copy even when nothing changes: the caller's picture stays its own.
    return image.convert("RGB")


def _sixteen_bit(image: Image.Image, name: str) -> NDArray[np.uint16]:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageReadError(
            f"{name} has 32-bit values from {values.min()} to {values.max()}; scale them to 0..65535"
        )
    return values.astype(np.uint16)


def _from_tensor(tensor: Tensor) -> Image.Image:
    shape = tuple(tensor.shape)
    if tensor.ndim == 4:
        raise ImageReadError(
            f"a tensor of shape {shape} is a batch; give a list of (C, H, W) tensors: list(batch)"
        )
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and shape[0] not in (1, 3, 4)):
        hint = "; use tensor.permute(2, 0, 1)" if tensor.ndim == 3 and shape[2] in (1, 3, 4) else ""
        raise ImageReadError(f"a tensor must be (C, H, W) with 1, 3 or 4 channels, got {shape}{hint}")
    tensor = tensor.detach().cpu()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    if tensor.ndim == 3:
        tensor = tensor.permute(1, 2, 0)
    return _from_array(tensor.numpy(), f"tensor of shape {shape}")


def _from_array(array: NDArray[np.generic], name: str | None = None) -> Image.Image:
    name = name or f"array of shape {array.shape}"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        channels_first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        hint = "; use array.transpose(1, 2, 0)" if channels_first else ""
        hint = "; give a list of pictures for a batch" if array.ndim == 4 else hint
        raise ImageReadError(f"an array must be (H, W), (H, W, 3) or (H, W, 4), got {array.shape}{hint}")
    if array.size == 0:
        raise ImageReadError(f"{name} has no pixels")
    return _to_rgb(Image.fromarray(_to_uint8(array, name)), name)


def _to_uint8(array: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, dtype=np.uint8)
    if array.dtype == np.uint16:
        return np.rint(array.astype(np.float64) / 257.0).astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageReadError(f"{name} has dtype {array.dtype}; use uint8 (0..255), uint16 or float in 0..1")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ImageReadError(f"{name} holds NaN or infinite values")
    # A hair outside comes from resizing floats; it is clipped.
    if values.min() < -1e-3 or values.max() > 1.0 + 1e-3:
        raise ImageReadError(
            f"{name} has floats from {values.min():.4g} to {values.max():.4g}, expected 0..1; "
            "give the picture before normalisation, or uint8 for 0..255"
        )
    return np.rint(values.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def _name_of(image: Image.Image) -> str:
    if isinstance(image, ImageFile.ImageFile) and image.filename:
        return os.fsdecode(image.filename)
    return f"picture of mode {image.mode}"
