"""What other processes do to a store in tests."""

import os
import resource
import signal
import sqlite3
import time

from ntkcheck.store import Store, StoreError
from tests.store import record

NOBODY = 65534


def write(path, numbers, acknowledge):
    """Add record after record, and say so after each."""
    with Store(path) as store:
        for i in numbers:
            store.add(record(i))
            acknowledge.send(i)


def lock(path, locked, seconds):
    """Keep the file locked for a while."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    locked.send(True)
    time.sleep(seconds)


def forbidden(path, answer):
    """Open without the rights that root has over every file: to write, then to read."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        with Store(path):
            answer.send("could be written")
    except StoreError as error:
        answer.send(str(error))
    try:
        with Store(path, read_only=True) as store:
            answer.send(len(list(store.records())))
    except StoreError as error:
        answer.send(str(error))


def limited(path, size, answer):
    """Add until the file may not grow further; what is written past the limit fails as it does past a quota."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    added = []
    try:
        with Store(path) as store:
            for i in range(10_000):
                store.add(record(i))
                added.append(i)
    except StoreError as error:
        answer.send((added, str(error)))
