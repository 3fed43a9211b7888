"""Learning: data, training loops, and what they leave behind."""
