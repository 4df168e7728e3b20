"""The figures of a run as a page embeds them."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from jaxml.provenance import contents
from jaxml.record.figures import DPI
from jaxml.text import plain

_BEGINNING = b"\x89PNG\r\n\x1a\n"
_HEADER = 24
"""Bytes up to the end of a PNG's width and height."""


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
    """The PNGs in a folder by name; what is a link, or no PNG, is passed over.

    Raises:
        InputError: one may not be read.
    """
    if folder.is_symlink():
        return
    for path in sorted(folder.glob("*.png")):
        data = _own(path)
        if data.startswith(_BEGINNING) and len(data) > _HEADER:
            yield _picture(path, data)


def _own(path: Path) -> bytes:
    """The bytes of a regular file of the folder itself; none of what is a link, or
    elsewhere.
    """
    return contents(path) if path.is_file() and not path.is_symlink() else b""


def _picture(path: Path, data: bytes) -> Picture:
    """The size is that at which a point of the figure's type is a point of the page: 96
    pixels an inch.
    """
    width, height = (
        round(int.from_bytes(data[at : at + 4], "big") * 96 / DPI) for at in (16, 20)
    )
    said = plain(_own(path.with_suffix(".txt")).decode(errors="replace").strip())
    anchor = f"figure-{hashlib.sha256(data).hexdigest()[:16]}"
    encoded = base64.b64encode(data).decode()
    return Picture(plain(unquote(path.stem)), anchor, encoded, width, height, said)
