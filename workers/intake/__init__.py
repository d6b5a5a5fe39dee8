"""Intake: validation of a task, and writing it as a submission."""
