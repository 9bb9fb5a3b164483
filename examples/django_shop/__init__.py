"""A small shop in Django with Backburner at home in it: `python -m examples.django_shop`."""
