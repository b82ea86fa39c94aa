"""Data: read tables, say what their columns are, check and split them. DuckDB inside, Arrow and NumPy at the border."""
