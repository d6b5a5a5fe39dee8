"""LADA: label-specific memory, mixtures and a tuned text side (ICML 2025)."""
