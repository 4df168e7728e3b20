import itertools

import numpy as np
import pytest

from jaxml.record.figures import STYLES, label, panels, save
from jaxml.types import InputError

pytestmark = pytest.mark.identity


def lightness(colour: str) -> float:
    """CIE L* of an sRGB colour."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(luminance) - 16 if luminance > 0.008856 else 903.3 * luminance


def contrast_to_white(colour: str) -> float:
    """WCAG 2.2's contrast ratio."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    return 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05)


def test_families_differ_without_colour():
    assert len({style.marker for style in STYLES}) == len(STYLES)
    for i in range(len(STYLES) - 3):
        four = STYLES[i : i + 4]
        assert len({style.linestyle for style in four}) == 4
    for a, b in itertools.combinations(STYLES[:4], 2):
        assert abs(lightness(a.colour) - lightness(b.colour)) > 15
    assert all(contrast_to_white(style.colour) >= 3 for style in STYLES)


def test_panels_take_the_styles_in_turn():
    figure, axes = panels(2, 2)
    assert len(axes) == 4 and figure.get_size_inches().tolist() == [8.8, 6.4]
    for panel in axes:
        lines = [panel.plot([0, 1], [i, i])[0] for i in range(len(STYLES) + 1)]
        drawn = [
            (line.get_color(), line.get_marker(), line.get_linestyle())
            for line in lines
        ]
        assert drawn == [*STYLES, STYLES[0]]


def test_saving_is_deterministic(tmp_path):
    for name in ("a.png", "b.png"):
        figure, (axes,) = panels()
        axes.loglog([1, 10], [1, 100], label="x")
        axes.legend()
        label(axes, "A title", "steps (1)", "loss (nats)")
        save(figure, tmp_path / name)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes() and data.startswith(b"\x89PNG")
    assert b"tEXt" not in data and b"tIME" not in data


@pytest.mark.parametrize(
    "sizes", [{"rows": 0}, {"columns": -1}, {"width": 0.0}, {"height": -1.0}]
)
def test_panels_of_no_size_are_refused(sizes):
    with pytest.raises(InputError):
        panels(**sizes)


@pytest.mark.parametrize("names", [("", "y"), ("x", " ")])
def test_an_axis_needs_a_name(names):
    _, (axes,) = panels()
    with pytest.raises(InputError, match="unit"):
        label(axes, "title", *names)
