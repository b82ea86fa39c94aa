"""What has happened: the store on disk, the runs and the registry of models, kept by MLflow.

`store` and `registry` never import MLflow for a local store, so that reading a version costs about a millisecond;
only `tracker`, which writes, loads it.
"""
