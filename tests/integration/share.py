"""How every suite begins, and which of its tests are run."""

import os
import signal
import zlib


class Share:
    """WALSTREAM_SHARE=3:ANYTHING runs about a third of the tests; which one,
    ANYTHING says. The others are counted as deselected."""

    def pytest_collection_modifyitems(self, config, items):
        count, _, seed = os.environ.get("WALSTREAM_SHARE", "1").partition(":")
        chosen = [zlib.crc32(f"{seed} {item.nodeid}".encode()) % int(count)
                  == 0 for item in items]
        config.hook.pytest_deselected(
            items=[item for item, yes in zip(items, chosen) if not yes])
        items[:] = [item for item, yes in zip(items, chosen) if yes]


def pytest_configure(config):
    """End with teardown when terminated, too."""
    config.pluginmanager.register(Share())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
