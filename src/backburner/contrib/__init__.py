"""Adapters to web frameworks and to OpenTelemetry, each with a module of its own."""
