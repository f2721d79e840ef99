"""Pictures of meshes: a differentiable renderer, spherical-harmonic light, overlays on photos."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Light": ".lighting",
        "RenderOutput": ".renderer",
        "ambient_light": ".lighting",
        "directional_light": ".lighting",
        "draw_landmarks": ".overlay",
        "lighting": ".lighting",
        "overlay": ".overlay",
        "overlay_mesh": ".overlay",
        "random_light": ".lighting",
        "render": ".renderer",
        "self_shadow": ".shadow",
        "shade": ".lighting",
        "shadow_transfer": ".shadow",
    },
)
