"""The roles that make a version of a submission: trainer, mixtures, publisher, gate."""
