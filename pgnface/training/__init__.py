"""Training: configuration, objective, loop, checkpoints."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "LossWeights": ".config",
        "MultiframeConfig": ".config",
        "TrainConfig": ".config",
        "load_config": ".config",
        "save_config": ".config",
        "IdentityFit": ".identity",
        "fit_identity": ".identity",
        "Objective": ".objective",
        "ExponentialAverage": ".ema",
        "TrainResult": ".trainer",
        "Trainer": ".trainer",
        "train": ".trainer",
        "calibrate": ".validation",
        "validate": ".validation",
        "load_network": ".checkpoint",
        "save_weights": ".checkpoint",
    },
)
