"""Designs of Timeloop: files in the dialects 0.1 to 0.4, translated where nothing would change a number."""

from procrustes_model.importers.timeloop.translate import Translation, translate

__all__ = ["Translation", "translate"]
