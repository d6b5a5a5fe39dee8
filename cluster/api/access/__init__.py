"""Access to the HTTP API: who asks, what they may do, and what is written down of it."""
