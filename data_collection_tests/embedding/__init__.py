"""The encoder, its checkpoint and its files, with the tiny real MuQ."""
