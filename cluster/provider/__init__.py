"""The OpenID provider: who it is, what it has signed, and how people log in with it."""
