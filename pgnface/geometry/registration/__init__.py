"""Registration of meshes of different topology without known correspondence."""

from .nonrigid import STIFFNESS, nonrigid_icp

__all__ = ["STIFFNESS", "nonrigid_icp"]
