"""Evaluate: everything measured about a candidate on rows it never saw, and the report."""
