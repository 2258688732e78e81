"""What each NATS user may do, derived from contracts/subjects.py; nothing else is allowed."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.subjects import CONSUMERS, PUBLISHES, SERVICES, STREAMS, SUBJECT_PREFIX

ADMIN = "admin"
"""Provisioning only: the one that may make or change streams and durables."""
OPS = "ops"
"""The command line."""
OUTSIDERS = ("upstream", "bucket-notifier")
"""Who only announces: the system that sends pictures, and the S3 server's notifications."""
REBUILD = "reporter-rebuild"
"""Name of the short-lived consumer through which the reporter reads a log from its start."""

DEAD_LETTER = "dead-letter.stored"


@dataclass(frozen=True)
class Permissions:
    """Subjects a user may publish to and subscribe to; ``unheard`` is taken out of the latter."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    unheard: tuple[str, ...] = ()


def service_permissions(service: str) -> Permissions:
    """A service says its own messages, pulls and settles from its own durables, hears its own replies."""
    publish = [f"{SUBJECT_PREFIX}.{name}" for name in (*PUBLISHES[service], DEAD_LETTER)]
    for consumer in CONSUMERS:
        if consumer.service == service:
            place = f"{consumer.stream}.{consumer.durable}"
            publish += [
                f"$JS.API.CONSUMER.INFO.{place}",
                f"$JS.API.CONSUMER.MSG.NEXT.{place}",
                f"$JS.ACK.{place}.>",
            ]
    if service == "reporter":
        publish += _rebuild_subjects()
    return Permissions(tuple(publish), (_inbox(service),))


def outsider_permissions(user: str) -> Permissions:
    """An outsider says its own messages, and hears the broker's word that they are stored.

    Its program (an S3 server, say) may not let itself be told a reply subject of its own, so it may
    use the usual one, which is nobody else's: all others here have theirs below ``_INBOX.<user>``.
    """
    publish = tuple(f"{SUBJECT_PREFIX}.{name}" for name in PUBLISHES[user])
    others = tuple(_inbox(other) for other in (ADMIN, OPS, *SERVICES, *OUTSIDERS) if other != user)
    return Permissions(publish, (_inbox(user), "_INBOX.*.*"), others)


def ops_permissions() -> Permissions:
    """Commands, replay of any message, and reading: streams, backlog, the live flow.

    It may not make, change or delete a durable, nor acknowledge for one: what it pulls by mistake
    comes back to its owner after the wait.
    """
    publish = (
        f"{SUBJECT_PREFIX}.>",
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.MSG.GET.*",
        "$JS.API.CONSUMER.NAMES.*",
        "$JS.API.CONSUMER.LIST.*",
        "$JS.API.CONSUMER.INFO.*.*",
        "$JS.API.CONSUMER.CREATE.*",  # the form without a name: short-lived consumers only
        "$JS.API.CONSUMER.MSG.NEXT.*.*",
        "$JS.FC.>",
    )
    return Permissions(publish, (_inbox(OPS), f"{SUBJECT_PREFIX}.>"))


def users() -> dict[str, Permissions]:
    """Every user of the broker."""
    return {
        ADMIN: Permissions((">",), (">",)),
        OPS: ops_permissions(),
        **{service: service_permissions(service) for service in SERVICES},
        **{outsider: outsider_permissions(outsider) for outsider in OUTSIDERS},
    }


def _rebuild_subjects() -> list[str]:
    """Reading whole logs again through one short-lived consumer, which acknowledges nothing."""
    subjects = []
    for stream in (stream.name for stream in STREAMS):
        subjects += [
            f"$JS.API.STREAM.INFO.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}.{REBUILD}",
            f"$JS.API.CONSUMER.CREATE.{stream}.{REBUILD}.>",  # the form of the request with one filter
            f"$JS.API.CONSUMER.INFO.{stream}.{REBUILD}",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{REBUILD}",
            f"$JS.API.CONSUMER.DELETE.{stream}.{REBUILD}",
        ]
    return subjects


def _inbox(user: str) -> str:
    return f"_INBOX.{user}.>"
