"""Measurements of Backburner and of the machine it runs on; none of them is a test."""
