"""Analytical model and mapper for accelerators that train sparse neural networks.

The verbs a user imports are named in ``__init__.pyi`` beside this file; each is loaded when it is first
used, so that importing the package costs nothing.
"""

import lazy_loader

from procrustes_model.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
