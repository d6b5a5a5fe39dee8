"""Access to the HTTP API: who asks, what each route needs, and what is written down of denials."""
