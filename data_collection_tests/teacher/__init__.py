"""Tests of `data_collection.teacher`."""
