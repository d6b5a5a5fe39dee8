"""The contract of continual-learning methods: the interface and the values that pass through it."""
