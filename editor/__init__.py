"""The pages and the canvas."""
