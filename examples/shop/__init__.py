"""A small product admin: CSV import, mass changes and CSV export, run in the background by Backburner.

python -m examples.shop
"""
