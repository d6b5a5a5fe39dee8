"""The whole system: started, stopped and checked."""
