"""Features: transforms, one file each, and the plan that orders them."""
