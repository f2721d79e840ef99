"""Image encoders, prediction heads and the pose guidance network."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "NetworkConfig": ".config",
        "PoseGuidanceNetwork": ".pgn",
        "Prediction": ".pgn",
        "build_encoder": ".encoders",
        "join_predictions": ".pgn",
        "load_encoder_weights": ".encoders",
        "rotation_from_6d": ".heads",
        "split_prediction": ".pgn",
    },
)
