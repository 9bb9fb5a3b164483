"""Named locks: one holder at a time, and none for ever."""

import threading

from sqlalchemy import delete, event

from tests.store.scene import Crew, Scene


def test_one_holder_at_a_time(scene: Scene, elsewhere: Scene) -> None:
    me, you = scene.ids.new(), scene.ids.new()
    assert scene.store.locks.acquire("drain", me, "me on box", 10) is None
    assert elsewhere.store.locks.acquire("drain", you, "you", 10) == "me on box"
    assert elsewhere.store.locks.acquire("other", you, "you", 10) is None


def test_a_lock_given_back_is_free(scene: Scene) -> None:
    me, you = scene.ids.new(), scene.ids.new()
    scene.store.locks.acquire("drain", me, "me", 10)
    scene.store.locks.release("drain", you)
    assert scene.store.locks.acquire("drain", you, "you", 10) == "me"
    scene.store.locks.release("drain", me)
    assert scene.store.locks.acquire("drain", you, "you", 10) is None


def test_a_lock_ends_with_its_lease(scene: Scene) -> None:
    me, you = scene.ids.new(), scene.ids.new()
    scene.store.locks.acquire("drain", me, "me", 10)
    scene.clock.move(10)
    assert scene.store.locks.acquire("drain", you, "you", 10) == "me"
    scene.clock.move(0.000001)
    assert scene.store.locks.acquire("drain", you, "you", 10) is None
    assert scene.store.locks.acquire("drain", me, "me", 10) == "you"


def test_its_holder_may_prolong_it(scene: Scene) -> None:
    me, you = scene.ids.new(), scene.ids.new()
    scene.store.locks.acquire("drain", me, "me", 10)
    scene.clock.move(9)
    assert scene.store.locks.acquire("drain", me, "still me", 10) is None
    scene.clock.move(9)
    assert scene.store.locks.acquire("drain", you, "you", 10) == "still me"


def test_many_at_once_one_gets_it(scene: Scene, elsewhere: Scene) -> None:
    start, won = threading.Barrier(6), list[str]()

    def work(place: Scene) -> None:
        me = place.ids.new()
        start.wait(30)
        if place.store.locks.acquire("drain", me, me, 10) is None:
            won.append(me)

    crew = Crew()
    for place in (scene, elsewhere) * 3:
        crew.add(work, place)
    crew.start().join()
    assert len(won) == 1


def test_a_lock_given_back_while_another_asks(on_postgresql: Scene) -> None:
    """Its row goes away between two statements of the one who asks: it asks again and has it."""
    scene, engine, gone = on_postgresql, on_postgresql.store.engine, list[str]()
    me, you = scene.ids.new(), scene.ids.new()
    scene.store.locks.acquire("drain", you, "you", 10)

    def give_back(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("INSERT") and not gone:
            gone.append(statement)
            with engine.connect() as another:
                another.execute(delete(scene.store.schema.locks))
                another.commit()

    event.listen(engine, "after_cursor_execute", give_back)
    assert scene.store.locks.acquire("drain", me, "me", 10) is None
    assert len(gone) == 1
