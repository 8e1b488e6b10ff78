"""Where values stand on the axes of parallel coordinates, and that they are drawn."""

from __future__ import annotations

import math
import re

import pytest

from tagi_cli.experiment.sweeps.parallel_coordinates import (
    MOST_AXES,
    coordinate,
    parallel_coordinates,
)


def test_numbers_stand_in_proportion() -> None:
    axis = coordinate("width", [10, 40, 20])
    assert axis.heights == pytest.approx([0, 1, 1 / 3])
    assert axis.ticks == [(0, "10"), (pytest.approx(1 / 3), "20"), (1, "40")]


def test_numbers_over_a_wide_span_stand_by_their_logarithm() -> None:
    axis = coordinate("gain", [0.01, 1.0, 0.1])
    assert axis.heights == pytest.approx([0, 1, 0.5])


def test_many_numbers_get_five_ticks_and_close_ones_none() -> None:
    assert [label for _, label in coordinate("seed", range(101)).ticks] == [
        "0", "25", "50", "75", "100",
    ]  # fmt: skip
    assert [label for _, label in coordinate("x", [0, 1, 100]).ticks] == ["0", "100"]
    widths = coordinate("width", range(1, 13)).ticks
    assert [label for _, label in widths] == ["1", "4", "6", "9", "12"]
    assert widths[1][0] == pytest.approx(3 / 11)


def test_paths_stand_without_the_folder_that_all_share() -> None:
    paths = ["/data/long/way/a.csv", "/data/long/way/below/b.csv", "/data/long/way/c.csv"]
    labels = [label for _, label in coordinate("data.path", paths).ticks]
    assert labels == ["a.csv", "below/b.csv", "c.csv"]
    assert [label for _, label in coordinate("x", ["/a", "/b"]).ticks] == ["a", "b"]
    assert [label for _, label in coordinate("x", ["/a", "b"]).ticks] == ["/a", "b"]


def test_words_stand_at_equal_distances_and_what_is_missing_below() -> None:
    axis = coordinate("noise", ["learned", None, True, "decay"])
    assert axis.heights[0] == 0.5
    assert axis.heights[1] < 0
    assert axis.heights[2:] == [1.0, 0.0]
    assert [label for _, label in axis.ticks] == ["none", "decay", "learned", "true"]


def test_a_value_that_is_the_same_in_all_runs_stands_in_the_middle() -> None:
    assert coordinate("seed", [3, 3]).heights == [0.5, 0.5]


def test_runs_that_diverged_do_not_squeeze_the_others() -> None:
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1e6]
    axis = coordinate("valid_nll", values, clip=True)
    assert axis.heights == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    assert axis.ticks[-1][1] == "≥ 1.4"
    assert coordinate("width", values).heights[4] < 0.1


def test_the_figure_names_its_axes_and_is_drawn_for_many_options() -> None:
    names = [f"arch.option_{i}" for i in range(MOST_AXES + 2)]
    rows = [[*range(i, i + len(names)), 1.0 + i] for i in range(3)]
    figure = parallel_coordinates(names, rows, "valid_nll")
    assert figure.png.startswith(b"\x89PNG")
    for word in (*names[:MOST_AXES], "valid_nll", f"the first {MOST_AXES} of {len(names)} options"):
        assert word in figure.svg
    assert names[-1] not in figure.svg


def test_all_text_is_on_the_canvas() -> None:
    for options in (1, 2, 4):
        names = [f"arch.option_{i}" for i in range(options)]
        rows = [[*("word" for _ in names), 1.0], [*("other" for _ in names), 2.0]]
        svg = parallel_coordinates(names, rows, "valid_nll").svg
        height = float(re.findall(r'viewBox="0 0 \S+ (\S+)"', svg)[0])
        places = re.findall(r'<text [^>]*translate\(\S+ (\S+)\)|<text [^>]* y="(\S+?)"', svg)
        ends = [float(moved or plain) for moved, plain in places]
        assert len(ends) >= 2 * options + 3
        assert max(ends) < height


def test_dollars_in_names_are_no_mathematics() -> None:
    figure = parallel_coordinates(["a$b"], [["$x", 1.0], ["$y_2$", 2.0]], "valid_nll")
    assert "$y_2$" in figure.svg
    assert not math.isnan(coordinate("a$b", ["$x"]).heights[0])
