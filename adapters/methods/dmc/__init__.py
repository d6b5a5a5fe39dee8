"""DMC and DMC-OT: image side first, prompts then, and Gaussians that follow the drift."""
