"""Tests of works and of wordings of them."""
