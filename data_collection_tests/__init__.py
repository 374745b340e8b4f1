"""Tests of `data_collection`, in the same folders."""
