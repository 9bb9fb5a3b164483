"""The operators' pages. They are rendered here, work without scripts, and are kept up to date by small ones."""
