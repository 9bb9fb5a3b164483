"""The shop of the tests of the web side, to be attacked."""

from tests.web.conftest import jobs, shop, worker

__all__ = ["jobs", "shop", "worker"]
