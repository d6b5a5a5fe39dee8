"""`python -m cluster.cli` is `nacre`."""

from cluster.cli.main import main

main()
