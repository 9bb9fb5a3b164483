"""Kestrel Outdoor on Flask: login, data and jobs in one SQLite file, a worker beside the server.

Start it with `python -m examples.flask_shop`.
"""
