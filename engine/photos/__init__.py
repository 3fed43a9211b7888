"""Photo files: what they say of themselves, and copies that say where they were taken."""
