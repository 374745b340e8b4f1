"""Acoustic fingerprints of stored recordings, and finding the same performance by them."""
