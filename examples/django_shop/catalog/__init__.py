"""The products of the shop, and what takes long with them."""
