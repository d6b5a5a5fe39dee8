"""The coordinator: the scheduler that carries submissions through the queue."""
