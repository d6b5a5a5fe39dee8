"""CL-LoRA: low-rank changes of a vision transformer, half of them shared by tasks (CVPR 2025)."""
