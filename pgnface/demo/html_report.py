"""The demo's report: one HTML file that carries its pictures, styles and the 3D head."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pgnface.evaluation.report import Report

# Text and axes of a plot take the page's colour, so that plots follow light and dark mode.
_INK = "#010203"


@dataclass(frozen=True)
class Person:
    """One held-out face of the report, all pictures ``(S, S, 3)`` uint8.

    Attributes:
        picture: what the network sees.
        before, after: the picture with the network's mesh, untrained and trained.
        caption: what is known of it.
    """

    picture: NDArray[np.uint8]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True)
class Head:
    """A head for the 3D viewer: vertices (V, 3) mm, normals (V, 3), colours (V, 3) in [0, 1]."""

    vertices: NDArray
    normals: NDArray
    colors: NDArray
    triangles: NDArray


@dataclass(frozen=True)
class Curve:
    """A line of a plot: name, x and y."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def write_report(
    path: Path,
    *,
    before: Report,
    after: Report,
    curves: Mapping[str, Sequence[Curve]],
    people: Sequence[Person],
    head: Head,
    head_file: str,
    facts: Mapping[str, object],
    training: str,
) -> Path:
    """Write the report.

    Args:
        path: the .html file.
        before, after: evaluations on the same held-out people.
        curves: plots, by heading.
        people: held-out faces.
        head: shown in the viewer.
        head_file: the same head as a file beside the report.
        facts: machine, versions and times.
        training: a sentence that says what was trained on what.
    """
    page = _asset("report.html")
    values = {
        "style": _asset("report.css"),
        "script": _asset("viewer.js"),
        "training": html.escape(training),
        "cards": _cards(before, after),
        "table": _table(before, after),
        "plots": "".join(
            f'<div class="figure"><p class="caption">{html.escape(title)}</p>{_plot(lines)}</div>'
            for title, lines in curves.items()
        ),
        "people": "".join(map(_person, people)),
        "count": str(after.facts["people"]),
        "head_file": html.escape(head_file),
        "head_data": json.dumps(_head_data(head)),
        "facts": "".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>"
            for name, value in facts.items()
        ),
    }
    for name, value in values.items():
        page = page.replace("{{" + name + "}}", value)
    path.write_text(page, encoding="utf-8")
    return path


def _cards(before: Report, after: Report) -> str:
    def card(name: str, unit: str, old: float, new: float, note: str) -> str:
        change = f"<b>{1 - new / old:.0%} less</b>" if new < old else "not better"
        return (
            f'<div class="card"><div class="name">{name}</div>'
            f'<div class="value">{new:.2f} <small>{unit}</small></div>'
            f'<div class="from">{note} {old:.2f}: {change}</div></div>'
        )

    def overall(report: Report) -> float:
        return report.nme["2d"]["posed_model"].overall

    def pose(report: Report) -> float:
        return report.pose["as_predicted"].mean

    return (
        card("Landmark error (NME)", "%", overall(before), overall(after), "untrained")
        + card("Head pose error", "degrees", pose(before), pose(after), "untrained")
        + card(
            "Face shape error", "mm", after.shape["mean_face"], after.shape["network"], "mean face"
        )
    )


def _table(before: Report, after: Report) -> str:
    first = after.nme["2d"]["position_map"]
    rows = []
    for kind, words in (("2d", "2D"), ("3d", "3D")):
        for method, name in (("position_map", "position map"), ("posed_model", "posed model")):
            old, new = before.nme[kind][method], after.nme[kind][method]
            bins = [*zip(old.means, new.means, strict=True), (old.overall, new.overall)]
            rows.append((f"{words} NME, {name}, %", bins))
        baseline = after.nme[kind]["mean_shape"]
        bins = [(None, value) for value in (*baseline.means, baseline.overall)]
        rows.append((f"{words} NME, mean shape, %", bins))
    columns = "".join(
        f"<th>|yaw| {name}°<br>n = {count}</th>"
        for name, count in zip(first.bins, first.counts, strict=True)
    )
    body = "".join(
        f"<tr><td>{name}</td>{''.join(_cell(old, new) for old, new in bins)}</tr>"
        for name, bins in rows
    )
    old, new = before.pose["as_predicted"], after.pose["as_predicted"]
    pose_cells = "".join(
        _cell(getattr(old, name), getattr(new, name))
        for name in ("pitch", "yaw", "roll", "mean", "geodesic")
    )
    return (
        f'<div class="scroll"><table><thead><tr><th>Landmarks, before → after</th>{columns}'
        f"<th>all</th></tr></thead><tbody>{body}</tbody></table></div>"
        '<div class="scroll"><table><thead><tr><th>Pose, before → after</th>'
        "<th>pitch</th><th>yaw</th><th>roll</th><th>mean</th><th>rotation</th></tr></thead>"
        f"<tbody><tr><td>degrees</td>{pose_cells}</tr></tbody></table></div>"
    )


def _cell(old: float | None, new: float) -> str:
    if new != new:
        return "<td>–</td>"
    return f"<td>{new:.2f}</td>" if old is None else f'<td class="now">{old:.2f} → {new:.2f}</td>'


def _person(person: Person) -> str:
    pictures = (
        (person.picture, "picture"),
        (person.before, "untrained"),
        (person.after, "trained"),
    )
    strip = "".join(
        f'<div><img alt="{name}" src="{data_uri(picture)}"><span>{name}</span></div>'
        for picture, name in pictures
    )
    caption = html.escape(person.caption)
    return (
        f'<figure class="person"><div class="strip">{strip}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def data_uri(image: NDArray[np.uint8]) -> str:
    """A picture ``(H, W, 3)`` as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _plot(curves: Sequence[Curve]) -> str:
    """An SVG that takes the page's text colour."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}):
        figure = Figure(figsize=(9, 3))
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        for curve, color in zip(curves, ("#d97b29", "#2f9e8f", "#7a6ff0", "#c2487b"), strict=False):
            axes.plot(curve.x, curve.y, color=color, label=curve.name, linewidth=1.8)
        axes.set_xlabel("step", color=_INK)
        if all(min(curve.y, default=1) > 0 for curve in curves):
            axes.set_yscale("log")
        axes.tick_params(colors=_INK, which="both")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_INK)
        axes.grid(alpha=0.15, color=_INK)
        axes.legend(labelcolor=_INK, frameon=False, ncols=4)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, bbox_inches="tight")
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")


def _head_data(head: Head) -> dict[str, object]:
    def encode(array: NDArray, kind: str) -> str:
        return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()

    low, high = head.vertices.min(0), head.vertices.max(0)
    return {
        "positions": encode(head.vertices, "<f4"),
        "normals": encode(head.normals, "<f4"),
        "colors": encode((head.colors.clip(0, 1) * 255).round(), "u1"),
        "triangles": encode(head.triangles, "<u4"),
        "count": int(head.triangles.size),
        "centre": ((low + high) / 2).tolist(),
        "size": float((high - low).max()),
    }


def _asset(name: str) -> str:
    return (files("pgnface.demo") / "assets" / name).read_text(encoding="utf-8")
