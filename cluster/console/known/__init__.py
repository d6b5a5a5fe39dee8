"""Knowledge of the system that is read once for all who look at the console."""
