"""Where there is no target: which rows are unlike the others, and which belong together."""
