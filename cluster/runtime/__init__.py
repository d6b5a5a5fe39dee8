"""The roles on Ray: deployments, the coordinator actor, names, logs."""
