"""The papers' protocol on any image sets: what is measured, how, and the page that shows it."""
