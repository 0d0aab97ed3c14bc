"""Tests of the questions of the evaluation."""
