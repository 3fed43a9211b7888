"""What is known of photos, and how they are drawn; no widgets."""
