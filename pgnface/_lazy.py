"""Package namespaces that import their modules on first use (PEP 562).

``pgnface --help`` answers at once because importing a package does not import torch, OpenCV or
SciPy; a name costs its import when it is first asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_exports(
    package: str, exports: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Module-level ``__getattr__``, ``__dir__`` and ``__all__`` for a package.

    Args:
        package: the package's ``__name__``.
        exports: public name to the module that defines it, absolute or relative to the package.
            A name equal to the last part of its module stands for the module itself unless the
            module defines it.

    Usage::

        __getattr__, __dir__, __all__ = lazy_exports(__name__, {"sparse_nme": ".metrics"})
    """

    def getattribute(name: str) -> object:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(exports[name], package)
        is_module = exports[name].rsplit(".", 1)[-1] == name and not hasattr(module, name)
        value = module if is_module else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    def directory() -> list[str]:
        return sorted({*vars(sys.modules[package]), *exports})

    return getattribute, directory, sorted(exports)
