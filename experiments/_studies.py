"""Panels in columns, one for each network of the study that a page has points of."""

from experiments._robust import STUDIES, title
from gridrun.figures import styled


@styled
def panels(points, n_rows=1, height_mm=62):
    """An empty figure, and the axes of each study among the points, from top to bottom: (figure, {study: [axes]}).

    Of one study alone they stand side by side.
    """
    from gridrun.faults.drawing import grid_of_panels

    titles = {point["study"]: title(point) for point in points}
    studies = [study for study in STUDIES if study in titles]
    if len(studies) > 1:
        figure = grid_of_panels([1] * len(studies), [1] * n_rows, height_mm=height_mm)
    else:
        figure = grid_of_panels([1] * n_rows, [1], height_mm=62)
    found = {study: figure.axes[place :: len(studies)] for place, study in enumerate(studies)}
    for axes in figure.axes:  # room for what stands above the panel
        axes.set_title(axes.get_title("left"), loc="left", x=-0.14, fontweight="bold", fontsize=8)
    for study, axes in found.items():
        axes[0].set_title(titles[study])
    return figure, found
