"""The command line: thin faces of `cluster.client.client.Client`."""
