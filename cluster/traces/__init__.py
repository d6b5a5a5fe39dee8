"""Traces of the system: OpenTelemetry's spans, sent to whoever collects them."""
