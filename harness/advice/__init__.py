"""Advice on methods, from tables that were measured."""
