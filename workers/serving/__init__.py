"""Inference on a replica: predictor, follower, version cache, batches."""
