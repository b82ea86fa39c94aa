"""Checks: one file each; the closed table is `mlwright.core.kinds.CHECKS`."""
