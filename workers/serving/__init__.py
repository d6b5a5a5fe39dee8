"""What a replica holds: predictor, follower, loaded versions, batches."""
