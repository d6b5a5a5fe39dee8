"""How the console shows things: who looks, pages, charts, figures."""
