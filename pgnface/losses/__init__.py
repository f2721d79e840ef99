"""Losses: small functions of tensors and weights, one module for each family."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "census_loss": ".photometric",
        "coefficient_loss": ".coefficients",
        "coefficient_prior": ".priors",
        "equivariance_loss": ".consistency",
        "identity_consistency_loss": ".consistency",
        "landmark_agreement_loss": ".agreement",
        "box_size": ".landmarks",
        "landmark_loss": ".landmarks",
        "map_agreement_loss": ".agreement",
        "match_illumination": ".multiframe",
        "multiframe_photometric_loss": ".multiframe",
        "offset_prior": ".priors",
        "position_map_loss": ".position_map",
        "position_map_weights": ".position_map",
        "robust_loss": ".photometric",
        "robust_penalty": ".photometric",
        "rotation_loss": ".pose",
        "shape_gram": ".coefficients",
        "shape_loss": ".coefficients",
        "weighted_mean": ".reduction",
    },
)
