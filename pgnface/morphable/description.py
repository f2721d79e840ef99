"""What a face model holds, and whether its unit and axes look right: ``pgnface model info``."""

from __future__ import annotations

from pgnface.geometry.landmarks import LANDMARK_GROUPS

from .model import MorphableModel

#: Adults' distance between the outer corners of the eyes, in mm, with room for odd mean faces.
OUTER_OCULAR_RANGE = (70.0, 110.0)


def describe_model(model: MorphableModel) -> dict[str, object]:
    """Counts, extent in mm, mean size of the modes in mm, and what looks wrong, JSON-ready.

    ``landmarks_source`` is the model's note that begins so, "of the file" without one.
    ``warnings`` names what is implausible of a mean face in millimetres and in our axes: the
    distance between the outer corners of the eyes, left and right, up and down, front and back, and
    triangles wound clockwise.
    """
    mean = model.mean
    points = model.landmark_points()
    identity = model.identity_basis.pow(2).sum((0, 2)).mean().sqrt()
    expression = model.expression_basis.norm(dim=-1).mean()
    return {
        "name": model.name,
        "vertices": model.vertex_count,
        "triangles": len(model.triangles),
        "identity_modes": model.identity_count,
        "expressions": model.expression_count,
        "expression_names": list(model.expression_names),
        "joints": list(getattr(model, "joint_names", ())),
        "regions": list(model.region_names),
        "extent_mm": [round(float(size), 2) for size in mean.amax(0) - mean.amin(0)],
        "outer_ocular_mm": round(float((points[45] - points[36]).norm()), 2),
        "identity_spread_mm": round(float(identity), 3),
        "expression_mean_mm": round(float(expression), 3) if model.expression_count else None,
        "landmarks_source": next(
            (n.removeprefix("landmarks ") for n in model.notes if n.startswith("landmarks ")),
            "of the file",
        ),
        "distinct_landmarks": len(set(model.landmarks.tolist())),
        "unused_vertices": model.vertex_count - len(model.triangles.unique()),
        "license": model.license,
        "digest": model.digest,
        "notes": list(model.notes),
        "warnings": _warnings(model),
    }


def format_description(description: dict[str, object]) -> str:
    """The description as aligned lines for a person."""
    x, y, z = description["extent_mm"]
    size = f"{description['outer_ocular_mm']} mm between the outer corners of the eyes"
    lines = {
        "name": description["name"],
        "format": description.get("format"),
        "vertices": f"{description['vertices']}, {description['unused_vertices']} in no triangle",
        "triangles": description["triangles"],
        "identity": f"{description['identity_modes']} modes, "
        f"{description['identity_spread_mm']} mm RMS over the vertices",
        "expression": _expression_line(description),
        "joints": ", ".join(description["joints"]) or None,
        "regions": ", ".join(description["regions"]),
        "extent": f"{x} x {y} x {z} mm, {size}",
        "landmarks": f"{description['landmarks_source']}, 68 on "
        f"{description['distinct_landmarks']} vertices",
        "licence": description["license"] or "not stated",
        "digest": description["digest"],
    }
    lines = {name: value for name, value in lines.items() if value is not None}
    width = max(map(len, lines))
    text = [f"{name:<{width}}  {value}" for name, value in lines.items()]
    text += [f"note: {note}" for note in description["notes"]]
    text += [f"warning: {warning}" for warning in description["warnings"]]
    return "\n".join(text)


def _expression_line(description: dict[str, object]) -> str:
    names = description["expression_names"]
    if not names:
        return "none"
    return f"{len(names)} ({names[0]} ... {names[-1]}), {description['expression_mean_mm']} mm each"


def _warnings(model: MorphableModel) -> list[str]:
    points = model.landmark_points()
    centre = {name: points[list(ids)].mean(0) for name, ids in LANDMARK_GROUPS.items()}
    eyes = (centre["left_eye"] + centre["right_eye"]) / 2
    distance = float((points[45] - points[36]).norm())
    low, high = OUTER_OCULAR_RANGE
    warnings = []
    if not low <= distance <= high:
        warnings.append(
            f"{distance:.4g} mm between the outer corners of the eyes, expected {low:g} to "
            f"{high:g}: the unit or the landmarks may be wrong"
        )
    if centre["left_eye"][0] <= centre["right_eye"][0]:
        warnings.append("the left eye is not at larger x: mirrored, or the landmarks are wrong")
    if eyes[1] <= points[8, 1]:
        warnings.append("the eyes are not above the chin: y may not be up")
    if points[30, 2] <= eyes[2]:
        warnings.append("the tip of the nose is not in front of the eyes: z may not be out")
    if _mostly_inward(model):
        warnings.append("most triangles around the landmarks are wound clockwise from outside")
    return warnings


def _mostly_inward(model: MorphableModel) -> bool:
    """Whether the landmarks' triangles face away from a viewer in front of the face."""
    triangles = model.triangles.long()
    used = (triangles[..., None] == model.landmarks[17:]).any(-1).any(-1)
    a, b, c = model.mean[triangles[used]].unbind(1)
    return bool((b - a).cross(c - a, dim=-1)[:, 2].sum() < 0)
