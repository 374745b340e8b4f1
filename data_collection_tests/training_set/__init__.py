"""Tests of the training set."""
