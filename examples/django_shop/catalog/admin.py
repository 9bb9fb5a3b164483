"""Products in the admin: many of them are published in the background."""

from typing import Any

from django.contrib import admin, messages

from backburner.contrib.django.background import BackgroundActions
from examples.django_shop.catalog.models import Product


@admin.register(Product)
class ProductAdmin(BackgroundActions, admin.ModelAdmin):
    """Up to 100 products are changed at once; more become a job."""

    list_display = ("name", "price", "published")
    list_filter = ("published",)
    actions = ("publish",)
    background_actions = ("publish", "delete_selected")

    @admin.action(description="Publish selected products", permissions=["change"])
    def publish(self, request: Any, queryset: Any) -> None:
        """The stock action of Django's documentation, as it is."""
        count = queryset.update(published=True)
        self.message_user(request, f"{count} products are published.", messages.SUCCESS)
