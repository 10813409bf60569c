"""The examples, one row for each directory of examples/.

How an example is installed and run is not said here but in its README: see
readme.py.
"""

import collections

# consumer: the name under which it subscribes; None: not one of the clients
# that print, which test_clients.py tests; such a one has tests of its own.
Example = collections.namedtuple("Example", "name consumer")

TABLE = [
    Example("python-client", "python-client"),
    Example("js-client", "js-client"),
    Example("ts-client", "ts-client"),
    Example("go-client", "go-client"),
    Example("rust-client", "rust-client"),
    Example("exactly-once", None),
    Example("redis-bridge", None),
]

CLIENTS = [row for row in TABLE if row.consumer]
