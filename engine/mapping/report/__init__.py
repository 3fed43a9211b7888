"""One-page reports: pictures from arrays, and self-contained HTML."""
