"""The shop's tables, and a session for each request."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

FOLDER = Path(os.environ.get("SHOP_FOLDER", "fastapi-shop")).absolute()
FOLDER.mkdir(parents=True, exist_ok=True)
FILE = FOLDER / "shop.db"

engine = create_async_engine(f"sqlite+aiosqlite:///{FILE}")
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The shop's tables."""


class Export(Base):
    """An export that was asked for, and what came of it."""

    __tablename__ = "exports"

    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[str] = mapped_column(String(80))
    orders: Mapped[int]
    text: Mapped[str | None]


async def make_tables() -> None:
    """Make what is not there yet."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


async def get_session() -> AsyncIterator[AsyncSession]:
    """The session of one request."""
    async with sessions() as session:
        yield session
