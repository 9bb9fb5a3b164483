"""Adapters to web frameworks, each with a package of its own."""
