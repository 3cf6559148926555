"""Curves side by side: the pictures of lessons, all of one look."""

from typing import NamedTuple

from matplotlib.figure import Figure

from zoo.experiment.pictures import write_figure


class Line(NamedTuple):
    """A curve, points, or an area.

    Attributes:
        x: `(points,)`.
        y: `(points,)`; infinite and NaN values are left out.
        label: For the legend, which leaves out what has none.
        style: As Matplotlib's `plot` takes it, such as "C0--"; or "area", down to 0.
    """

    x: object
    y: object
    label: str = ""
    style: str = "-"


class Panel(NamedTuple):
    """One pair of axes.

    Attributes:
        title: Above it.
        lines: Its `Line`s; they take one colour after another.
        axes: What Matplotlib's `axes.set` takes: `xlabel`, `ylim`, `yscale`, `yticks`.
    """

    title: str
    lines: list
    axes: dict


def lines(x, curves, style="-"):
    """Returns a `Line` for each curve over one x, in colours of their order.

    Args:
        x: `(points,)`.
        curves: `{label: y}`.
        style: Of all, without a colour.
    """
    return [
        Line(x, y, label, f"C{index}{style}")
        for index, (label, y) in enumerate(curves.items())
    ]


def write_panels(path, panels, columns=None, legend_below=False):
    """Writes panels as a PNG file.

    Args:
        path: Of the file.
        panels: `Panel`s, row by row.
        columns: In a row; by default all.
        legend_below: Whether one legend, of all labels, stands below all panels instead
            of one in each.
    """
    columns = columns or len(panels)
    rows = -(-len(panels) // columns)
    figure = Figure((3.7 * columns, 3.3 * rows + 0.4), dpi=85, layout="constrained")
    shown = {}  # by label
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1)
        for line in panel.lines:
            label = line.label or None
            if line.style == "area":
                drawn = axes.fill_between(line.x, line.y, alpha=0.3, label=label)
            else:
                drawn = axes.plot(line.x, line.y, line.style, ms=4, label=label)[0]
            if label:
                shown.setdefault(label, drawn)
        axes.set(title=panel.title, **panel.axes)
        axes.grid(alpha=0.3)
        if not legend_below and axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=8)
    if legend_below:
        names, place = list(shown), "outside lower center"
        across = min(len(names), 2 * columns)
        figure.legend(shown.values(), names, loc=place, ncol=across, fontsize=9)
    write_figure(path, figure)
