"""Documents, rendered as HTML that works offline and as Markdown."""
