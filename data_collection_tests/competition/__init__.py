"""Tests of names, titles and listings of a competition."""
