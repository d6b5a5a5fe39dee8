"""The pages of the console: what each shows, and what can be done on it."""
