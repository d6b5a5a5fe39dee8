"""Ray runtime: the roles as deployments, the coordinator actor, names, logs."""
