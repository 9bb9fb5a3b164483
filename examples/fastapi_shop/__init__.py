"""Kestrel Outdoor on FastAPI: asyncio, data and jobs in one SQLite file, a worker beside the server.

Start it with `python -m examples.fastapi_shop`.
"""
