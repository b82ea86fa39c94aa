"""Lifecycle: the verbs, as plain functions. Import them from `mlwright`, which loads each when it is first used."""
