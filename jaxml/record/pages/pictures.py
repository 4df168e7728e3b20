"""The figures of a run as a page embeds them."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from jaxml.record.figures import DPI


class Picture(NamedTuple):
    """A PNG, which the page holds once, however often it is shown.

    Attributes:
        name: of the figure.
        anchor: the element that holds it.
        data: its bytes in base64.
        width: on the page.
        height: on the page.
        words: what stands for it where it is not seen.
    """

    name: str
    anchor: str
    data: str
    width: int
    height: int
    words: str


def pictures(folder: Path) -> Iterator[Picture]:
    """The PNGs in a folder by name; what is a link is passed over."""
    for path in sorted(folder.glob("*.png")):
        if path.is_file() and not path.is_symlink():
            yield _picture(path)


def _picture(path: Path) -> Picture:
    """The size is that at which a point of the figure's type is a point of the page: 96
    pixels an inch.
    """
    data = path.read_bytes()
    width, height = (
        round(int.from_bytes(data[at : at + 4], "big") * 96 / DPI) for at in (16, 20)
    )
    words = path.with_suffix(".txt")
    said = words.read_text(encoding="utf-8").strip() if words.is_file() else ""
    anchor = f"figure-{hashlib.sha256(data).hexdigest()[:16]}"
    encoded = base64.b64encode(data).decode()
    return Picture(unquote(path.stem), anchor, encoded, width, height, said)
