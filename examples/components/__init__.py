"""Each component in a page: `python -m examples.components` shows them."""
