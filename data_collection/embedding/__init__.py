"""MuQ: from a clip's samples to its embedding."""
