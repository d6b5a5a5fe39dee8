"""Logs of the work: what workers wrote while they carried out a submission, kept in the store."""
