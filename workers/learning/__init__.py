"""Training workers: trainer, mixture fitter, publisher and gate make a version of a submission."""
