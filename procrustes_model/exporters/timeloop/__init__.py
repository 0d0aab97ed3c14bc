"""Specifications as files of Timeloop 0.4, so that users can cross-check."""

from procrustes_model.exporters.timeloop.export import Exported, export_timeloop, gather, write_files

__all__ = ["Exported", "export_timeloop", "gather", "write_files"]
