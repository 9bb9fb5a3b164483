"""Products."""

from django.db import models


class Product(models.Model):
    """Something to sell."""

    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    published = models.BooleanField(default=False)

    def __str__(self) -> str:
        return str(self.name)
