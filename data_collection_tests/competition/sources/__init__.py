"""Tests of the sources of results."""
