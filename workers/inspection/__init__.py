"""Inspection: what is wrong with a task's images and labels, before anything is learnt."""
