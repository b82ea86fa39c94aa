"""Models: one learner a file, and the ensemble that blends them."""
