"""The commands of ``pulsewire``. What is slow to import is imported inside them."""
