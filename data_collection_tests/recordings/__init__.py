"""Fetching, decoding, storing, cutting: the part that all tiers share."""
