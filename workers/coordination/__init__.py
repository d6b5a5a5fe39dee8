"""The coordinator: one leader that carries submissions through the queue."""
