"""Works of the piano repertoire: what they are called and how wordings of them are read."""
