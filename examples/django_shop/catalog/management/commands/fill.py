"""Fills the database, once: 1,000 products, and three people."""

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand

from examples.django_shop.catalog.models import Product

PRODUCTS = 1000
SEES, CHANGES = (
    ("view_product",),
    ("view_product", "change_product", "delete_product", "view_job", "change_job", "delete_job"),
)


class Command(BaseCommand):
    """`manage.py fill`."""

    help = "Fills the shop with products and people, unless it has some."

    def handle(self, *_: Any, **__: Any) -> None:
        if User.objects.exists():
            return
        Product.objects.bulk_create(
            Product(name=f"Tent {number}", price=Decimal(number)) for number in range(1, PRODUCTS + 1)
        )
        User.objects.create_user("ada", password="ada")  # noqa: S106
        for name, codenames in (("olga", CHANGES), ("sam", SEES)):
            person = User.objects.create_user(name, password=name, is_staff=True)
            person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
