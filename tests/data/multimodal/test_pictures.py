"""Collections of annotated pictures: lazily decoded, upright, and drawn from the seed alone."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from intern25.data.decoding import ImageDecodingError
from intern25.data.multimodal.pictures import AnnotatedPictures, DrawnPictures
from intern25.data.stores import MemoryStore
from tests.data.made_files import picture


def turned_jpeg() -> bytes:
    """A jpeg of 40 x 32 that its EXIF data turn by a quarter."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 32), (200, 10, 10)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_pictures_are_decoded_upright_and_only_when_asked_for() -> None:
    pictures = AnnotatedPictures(
        ("a", "bad", "turned"),
        ((1,), (), (2, 3)),
        MemoryStore({"a": picture(0), "bad": b"no picture", "turned": turned_jpeg()}),
    )
    assert (len(pictures), pictures.num_items(), pictures.items(2), pictures.name(1)) == (3, 3, (2, 3), "bad")
    expected = np.asarray(Image.open(io.BytesIO(picture(0))))
    np.testing.assert_array_equal(pictures.image(0), expected)
    assert pictures.image(2).shape == (40, 32, 3)
    with pytest.raises(ImageDecodingError, match="bad"):
        pictures.image(1)
    chosen = pictures.select([2, 0])
    assert (chosen.names, chosen.records) == (("turned", "a"), ((2, 3), (1,)))
    for held in (chosen.in_memory(), chosen.decoded_in_memory()):
        assert isinstance(held.store, MemoryStore)
        for index in range(2):
            np.testing.assert_array_equal(held.image(index), chosen.image(index))


def test_wrong_collections_are_refused() -> None:
    with pytest.raises(ValueError, match="2 pictures but 1 record lists"):
        AnnotatedPictures(("a", "b"), ((1,),), MemoryStore({}))
    with pytest.raises(ValueError, match="1 pictures are listed twice, such as a"):
        AnnotatedPictures(("a", "a"), ((1,), (2,)), MemoryStore({}))


class Source:
    def __len__(self) -> int:
        return 4

    def name(self, index: int) -> str:
        return f"picture {index}"

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (6, 4), (index, 0, 0))


def draw(index: int, generator: np.random.Generator) -> tuple[tuple[int, int], ...]:
    return ((index, int(generator.integers(1 << 30))),)


def test_drawn_records_follow_from_seed_epoch_and_position() -> None:
    drawn = DrawnPictures(source=Source(), draw=draw, indices=(3, 1), seed=5)
    assert drawn.items(0) == drawn.items(0) == pickle.loads(pickle.dumps(drawn)).items(0)
    assert [drawn.items(i)[0][0] for i in range(2)] == [3, 1]
    assert drawn.select([1]).items(0) == drawn.items(1)
    assert drawn.at_epoch(1).items(0) != drawn.items(0)
    assert DrawnPictures(source=Source(), draw=draw, indices=(3,), seed=6).items(0) != drawn.items(0)
    assert (drawn.name(1), drawn.image(0).shape, drawn.image(0)[0, 0, 0]) == ("picture 1", (4, 6, 3), 3)
